"""The gates that stand before live trading."""

from collections.abc import Mapping

_SWITCHES = {"LIVE_API": "1", "CONFIRM_LIVE": "YES", "ENABLE_LIVE_TRADING": "true"}
GO_LIVE_RECORD = "a signed, unexpired go-live record for this configuration and account"


class LiveTradingRefused(RuntimeError):
    """Live trading was asked for and a gate is shut; the message names each one."""


def shut_gates(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Name every gate that is shut.

    The go-live record cannot be verified by this version, so that gate is always shut.
    """
    switches = [f"{name}={value}" for name, value in _SWITCHES.items() if environment.get(name) != value]
    return (*switches, GO_LIVE_RECORD)


def require_open_gates(environment: Mapping[str, str]) -> None:
    """Return only when every gate is open.

    Raises:
        LiveTradingRefused: naming the gates that are shut.
    """
    shut = shut_gates(environment)
    if shut:
        raise LiveTradingRefused(f"mode live is refused; missing: {'; '.join(shut)}. Use mode paper")
