"""Every automatic kill switch of an order plane: what they hear, what they command, and how they are released."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from contracts.base import Message
from contracts.control import AlertSeverity, KillAction, KillScope, KillSwitchCommand, RiskAlert
from contracts.market import SliceEvent
from contracts.trading import ExecutionReport, OrderStatus
from domain.ids import kill_id
from order_plane.facts import NOT_SENT, Fact, FactKind
from order_plane.journals.port import JournalError, Past
from order_plane.reports import execution_report, reported
from order_plane.safety.guard_settings import StormSettings
from order_plane.safety.kill_switch import KillSwitch
from order_plane.safety.performance_guard import (
    REPEATED_EXECUTIONS,
    Finding,
    PerformanceGuard,
    Prices,
    Storm,
    moment_of,
    told,
)

_REJECTED = OrderStatus.REJECTED
_NO_STORM = ("TRADING_HALTED", "REDUCE_ONLY", "KAFKA_AWAY")
"""The codes of refusals that a kill itself causes, or an outage."""
_DISABLED, _FORGIVEN = "guard repeats", "guard forgiven"
OPERATOR = "guard"
"""Who gives an automatic command."""


class Market(Prices, Protocol):
    """The market as the desk knows it."""

    @property
    def now(self) -> datetime:
        """Event time."""
        ...


class Guards:
    """Hears the reports of an order plane and judges at the end of each moment, when its slice and its bars are in.

    ``watching`` is the guard whose books answer for the account, though it may trip for nothing.
    """

    def __init__(
        self, watching: PerformanceGuard, guards: Sequence[PerformanceGuard], repeats: StormSettings | None = None
    ) -> None:
        self.account = watching
        self._all = tuple(guards) if watching in guards else (watching, *guards)
        self._repeat_settings = repeats
        self._repeats: dict[str, Storm] = {}
        self._disabled: dict[str, KillAction] = {}
        self._moment: SliceEvent | None = None
        self._storm = False
        self._kept: dict[str, str] = {}
        self._decided: object = None
        self._marked: object = None
        self.lasting = False
        """Whether what `changed` last returned is more than a new mark of what is held."""

    @property
    def all(self) -> Sequence[PerformanceGuard]:
        """Each guard."""
        return self._all

    @property
    def due(self) -> bool:
        """Whether something was heard that must be judged."""
        return self._storm or self._moment is not None

    @property
    def stormy(self) -> bool:
        """Whether too many events of a kind were heard that nobody has judged yet."""
        return self._storm

    @property
    def idle(self) -> bool:
        """Whether no market event can make a guard act or change what it measures."""
        return not self.due and all(guard.idle for guard in self._all)

    def reached(self, moment: SliceEvent) -> None:
        """A moment of the market is complete once its bars are in."""
        self._moment = moment

    def heard(self, outputs: Iterable[Message]) -> None:
        """Book the reports among ``outputs``."""
        for report in outputs:
            if type(report) is not ExecutionReport:
                continue
            if report.last_quantity or report.status is not _REJECTED:
                self._book(report)
            elif not (report.reject_reason or "").startswith(_NO_STORM):
                for guard in self._all:
                    self._storm |= guard.rejected(report.strategy_id, report.timestamp)

    def learn(self, past: Past) -> None:
        """Book what the journal holds of an order of an earlier run."""
        history = past.history
        status = reported(history.status(), history)
        at, number = past.facts[-1].timestamp, max(1, past.reports)
        report = execution_report(past.intent, past.order_id, number, status, history, at, "restored")
        self.remember(report, past.facts)

    def remember(self, report: ExecutionReport, facts: Iterable[Fact]) -> None:
        """Book what an order of an earlier run came to, and count its ``facts`` for the storms.

        Of rejections only the venue's are counted: what a control refused never left, and whoever goes on wishing it
        is refused again.
        """
        strategy, executions = report.strategy_id, {}
        for guard in self._all:
            guard.watch.book(report)
        for fact in facts:
            if fact.kind is FactKind.REJECT and fact.fact_id != NOT_SENT and not fact.reason.startswith(_NO_STORM):
                for guard in self._all:
                    guard.recall_rejection(strategy, fact.timestamp)
            elif fact.kind is FactKind.FILL:
                executions[fact.fact_id] = fact.timestamp  # a correction is no other execution
        storm = self._repeats_of(strategy) if executions else None
        if storm is not None:
            for at in executions.values():
                storm.recall(at)

    def judge(self, market: Market) -> Sequence[KillSwitchCommand | RiskAlert]:
        """Commands for what trips now and alerts for what comes near, once each; nothing while bars are missing."""
        moment, now = self._moment, market.now
        if moment is not None and not _complete(moment, market):
            if not self._storm:
                return ()
        else:
            self._moment = None
        self._storm = False
        said: list[KillSwitchCommand | RiskAlert] = []
        for guard in self._all:
            said += [_said(finding, guard.scope, guard.target, now) for finding in guard.judge(now, market)]
        for strategy, storm in self._repeats.items():
            if strategy not in self._disabled and storm.rages(now):
                self._disabled[strategy] = storm.action
                finding = Finding(REPEATED_EXECUTIONS, storm.action, storm.detail)
                said.append(_said(finding, KillScope.STRATEGY, strategy, now))
        return said

    def forbids(self, command: KillSwitchCommand) -> str | None:
        """Why a switch must not be released yet, if so; a second name overrides it."""
        if command.engage or command.two_persons:
            return None
        for guard in self._covered(command):
            for cause, action in guard.tripped.items():
                if guard.holds(cause):
                    return f"{cause} still holds; only a second operator, who is another person, can override that"
                if action is KillAction.HALT_AND_INVESTIGATE:
                    return f"{cause} asks for an investigation; name the second operator who confirms it"
        return None

    def obey(self, command: KillSwitchCommand) -> None:
        """A switch was released: watch anew from here."""
        if command.engage:
            return
        for guard in self._covered(command):
            guard.release()
        if command.scope is KillScope.STRATEGY:
            self._disabled.pop(command.target, None)
            if command.target in self._repeats:
                self._repeats[command.target].clear()

    def changed(self) -> dict[str, str]:
        """What must be kept and is not yet, by name; calling it counts as keeping it."""
        decided = [each.decided for each in self._all], self._disabled.copy()
        marked = [(each.watch.last, each.watch.high) for each in self._all]
        self.lasting = decided != self._decided
        if not self.lasting and marked == self._marked:
            return {}
        self._decided, self._marked = decided, marked
        now = {guard.name: json.dumps(guard.state()) for guard in self._all}
        now[_DISABLED] = json.dumps({name: action.value for name, action in self._disabled.items()})
        now[_FORGIVEN] = json.dumps({name: told(each.forgiven) for name, each in self._repeats.items()})
        changed = {name: text for name, text in now.items() if self._kept.get(name) != text}
        self._kept = now
        return changed

    def restore(self, notes: Mapping[str, str]) -> None:
        """Go on from what was kept.

        Raises:
            JournalError: when that cannot be read.
        """
        self._kept = dict(notes)
        try:
            for guard in self._all:
                if guard.name in notes:
                    guard.restore(json.loads(notes[guard.name]))
            disabled = json.loads(notes.get(_DISABLED, "{}"))
            self._disabled = {str(name): KillAction(action) for name, action in disabled.items()}
            for name, at in json.loads(notes.get(_FORGIVEN, "{}")).items():
                if (storm := self._repeats_of(name)) is not None:
                    storm.forgiven = moment_of(at)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise JournalError("what the automatic kill switches kept in the journal cannot be read") from None

    def catch_up(self, switch: KillSwitch) -> None:
        """Let go of what has tripped and is not engaged so: the last life ended between the release and its note."""
        for guard in self._all:
            if not all(switch.holds(guard.scope, guard.target, each) for each in guard.tripped.values()):
                guard.release()
        for strategy, action in [*self._disabled.items()]:
            if not switch.holds(KillScope.STRATEGY, strategy, action):
                del self._disabled[strategy]

    def _book(self, report: ExecutionReport) -> None:
        for guard in self._all:
            guard.watch.book(report)
        storm = self._repeats_of(report.strategy_id) if report.last_quantity else None
        if storm is not None:
            storm.hit(report.timestamp)
            self._storm |= report.strategy_id not in self._disabled and storm.rages(report.timestamp)

    def _repeats_of(self, strategy: str) -> Storm | None:
        storm, settings = self._repeats.get(strategy), self._repeat_settings
        if storm is None and settings is not None:
            storm = self._repeats[strategy] = Storm("executions", settings)
        return storm

    def _covered(self, command: KillSwitchCommand) -> list[PerformanceGuard]:
        scope = command.scope
        target = "*" if scope is KillScope.GLOBAL else command.target
        return [each for each in self._all if each.scope is scope and each.target == target]


def _complete(moment: SliceEvent, market: Market) -> bool:
    for symbol in moment.symbols:
        at = market.priced_at(symbol)
        if at is None or at < moment.timestamp:
            return False
    return True


def _said(finding: Finding, scope: KillScope, target: str, now: datetime) -> KillSwitchCommand | RiskAlert:
    if finding.action is None:
        detail = f"{scope.value} {target}: {finding.detail}"
        return RiskAlert(
            timestamp=now, severity=AlertSeverity.WARNING, code=f"NEAR_{finding.cause}", detail=detail[:512]
        )
    return KillSwitchCommand(
        command_id=kill_id(finding.cause, scope.value, target, now),
        timestamp=now,
        engage=True,
        scope=scope,
        target=target,
        operator=OPERATOR,
        reason=finding.detail[:512],
        action=finding.action,
        cause=finding.cause,
    )
