"""The gates of live trading, as a process that knows the whole configuration asks them."""

from collections.abc import Mapping

from launcher.settings import Settings
from order_plane.gates import GO_LIVE_RECORD, LiveTradingRefused, require_open_gates
from order_plane.go_live_terms import go_live_terms
from order_plane.settings import Mode


def require_permission(settings: Settings, environment: Mapping[str, str]) -> None:
    """Return when ``settings`` trade on paper, or when every gate is open for all of them, strategy and data included.

    The order plane and the broker's adapter ask again for what they can see.

    Raises:
        LiveTradingRefused: naming the gates that are shut.
    """
    if settings.order.mode is not Mode.LIVE:
        return
    from gates.context import configuration_of  # noqa: PLC0415 - paper trading does without

    found = require_open_gates(environment, go_live_terms(settings.order))
    if found.record.configuration != configuration_of(settings.data, settings.strategy, settings.order):
        why = "the configuration of data or strategy has changed"
        raise LiveTradingRefused(f"mode live is refused; missing: {GO_LIVE_RECORD} ({why}). Use mode paper")
