"""What settings say of going live, and the hashes that a signed decision binds them by."""

from pydantic import BaseModel

from kernel.settings import config_hash
from order_plane.gates import GoLiveTerms
from order_plane.settings import OrderSettings

PLACES = frozenset(
    {
        *("mode", "account", "host", "journal_path", "journal_database", "paper_store_path", "audit_key_path"),
        *("ibkr.host", "ibkr.port", "ibkr.client_id", "ibkr.ids_path", "ibkr.paper_ports", "go_live.record_path"),
    }
)
"""Settings that differ between paper and live, or only say where something is; the account is signed by name."""
LIMITS = ("limits", "throttle", "guards", "repeat_executions", "capital", "verify_plans", "volume_cap")
"""Settings that bound what may be traded."""


def go_live_terms(settings: OrderSettings) -> GoLiveTerms:
    """What ``settings`` say of going live."""
    chosen = settings.go_live
    return GoLiveTerms(
        chosen.record_path,
        chosen.signers,
        settings.account,
        order_configuration(settings),
        limits_hash(settings),
    )


def order_configuration(settings: OrderSettings) -> str:
    """SHA-256 (hex) of every setting of the order plane but `PLACES`."""
    return config_hash(without_places(settings))


def without_places(settings: OrderSettings) -> OrderSettings:
    """The settings with `PLACES` at their defaults."""
    plain = settings.model_copy(update=_defaults(OrderSettings, ""))
    inner = {
        name: getattr(plain, name).model_copy(update=_defaults(type(getattr(plain, name)), f"{name}."))
        for name in ("ibkr", "go_live")
    }
    return plain.model_copy(update=inner)


def limits_hash(settings: OrderSettings) -> str:
    """SHA-256 (hex) of the settings that bound what may be traded."""
    return config_hash(OrderSettings(**{name: getattr(settings, name) for name in LIMITS}))


def _defaults(model: type[BaseModel], prefix: str) -> dict[str, object]:
    names = [name.removeprefix(prefix) for name in PLACES if name.startswith(prefix)]
    return {name: model.model_fields[name].get_default(call_default_factory=True) for name in names if "." not in name}
