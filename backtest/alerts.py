"""What a person had to know about during a run: alerts by code, each with the first that was said."""

from datetime import datetime
from itertools import groupby
from operator import itemgetter

from backtest.summary import JSON
from contracts.control import AlertSeverity, RiskAlert


class AlertLog:
    """Takes note of alerts; the same one again, as after a restart over Kafka, counts once."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, datetime, str, str, str]] = set()

    def take(self, alert: RiskAlert) -> tuple[()]:
        """Take note of one alert."""
        self._seen.add((alert.code, alert.timestamp, alert.symbol or "", alert.detail, alert.severity.value))
        return ()

    def by_code(self) -> dict[str, JSON]:
        """Count, gravest severity, and moment (ISO 8601) and text of the first, for each code."""
        return {code: _told(list(alerts)) for code, alerts in groupby(sorted(self._seen), key=itemgetter(0))}


def _told(alerts: list[tuple[str, datetime, str, str, str]]) -> dict[str, JSON]:
    _, at, symbol, detail, _ = alerts[0]
    critical = any(alert[4] == AlertSeverity.CRITICAL for alert in alerts)
    return {
        "count": len(alerts),
        "severity": (AlertSeverity.CRITICAL if critical else AlertSeverity.WARNING).value,
        "first": at.isoformat(),
        "detail": f"{symbol}: {detail}" if symbol else detail,
    }
