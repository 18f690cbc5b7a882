"""Alerts of the order plane."""

from datetime import datetime

from contracts.control import AlertSeverity, KillSwitchCommand, RiskAlert

_NO_WORDS = "no reason was given"
_ALL_CLEAR = frozenset({"RECONCILIATION_RESUMED", "DOUBT_SETTLED"})


def sentence(text: str) -> str:
    """``text``, whoever wrote it, as a message may hold it: not empty, no NUL, 512 characters at most."""
    return text[:512].replace("\0", " ").encode("utf-8", "replace").decode("utf-8") or _NO_WORDS


def critical(code: str, detail: str, at: datetime, symbol: str | None = None) -> RiskAlert:
    """Something that a person must look at now; ``detail`` is cut to what an alert may hold."""
    return RiskAlert(timestamp=at, severity=AlertSeverity.CRITICAL, code=code, detail=sentence(detail), symbol=symbol)


def warning(code: str, detail: str, at: datetime) -> RiskAlert:
    """Something that a person must look at soon."""
    return RiskAlert(timestamp=at, severity=AlertSeverity.WARNING, code=code, detail=sentence(detail))


def all_clear(code: str, detail: str, at: datetime, symbol: str | None = None) -> RiskAlert:
    """Something that a person was alarmed of is over; ``code`` is one that `is_told`."""
    return RiskAlert(timestamp=at, severity=AlertSeverity.WARNING, code=code, detail=detail, symbol=symbol)


def is_told(alert: RiskAlert) -> bool:
    """Whether a person is told of it at once: it is critical, or says that something critical is over."""
    return alert.severity is AlertSeverity.CRITICAL or alert.code in _ALL_CLEAR


def kill_alert(command: KillSwitchCommand) -> RiskAlert:
    """A kill switch was engaged or released."""
    code = "KILL_SWITCH_ENGAGED" if command.engage else "KILL_SWITCH_RELEASED"
    severity = AlertSeverity.CRITICAL if command.engage else AlertSeverity.WARNING
    detail = f"{command.scope.value} {command.target} by {command.operator}: {command.reason}"
    return RiskAlert(timestamp=command.timestamp, severity=severity, code=code, detail=sentence(detail))
