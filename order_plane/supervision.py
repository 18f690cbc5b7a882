"""Kill switches at work: commands and guards in, closing orders out, all of it latched in the journal."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import count
from uuid import UUID

from contracts.base import Message
from contracts.codec import ErrorCode, FieldError
from contracts.control import KillScope, KillSwitchCommand, PlanDecision, RebalancePlan, RiskAlert
from contracts.market import SliceEvent
from contracts.trading import Side
from domain.calendar import always_open
from domain.ids import kill_id
from kernel.ports import Handler, Unprocessable
from order_plane.alerts import critical, warning
from order_plane.controls import Controls, LooserLimit
from order_plane.desk import Desk
from order_plane.effects import SubmitOrder
from order_plane.flattening import Flattening
from order_plane.journals.port import Journal, Past, Recall
from order_plane.last_start import Running, compared
from order_plane.limit_settings import LimitSettings, changes
from order_plane.refusals import refused, why_not_released
from order_plane.risk.port import RiskCheck
from order_plane.safety.guards import Guards
from order_plane.safety.kill_targets import unmet
from order_plane.settlement import NOTHING, Measured
from order_plane.tightened import FORGOTTEN, in_force, note_of

_REFUSED = "refused release "
_POLICY = ErrorCode.OUT_OF_RANGE


class Supervision:
    """Stands between whoever commands a kill switch and the desk; without ``guards`` only people command.

    ``alert`` says that `act` has something to do.
    """

    def __init__(
        self,
        desk: Desk,
        journal: Journal,
        guards: Guards | None = None,
        controls: Controls | None = None,
        flattening: Flattening | None = None,
    ) -> None:
        self._desk = desk
        self._journal = journal
        self.witness = journal.witness
        self._flattening = flattening or Flattening(always_open())
        self.guards = guards
        self.controls = controls
        self._told: list[KillSwitchCommand] = []
        self._released: set[UUID] = set()
        self.alert = False
        self.unlatched: Callable[[], None] = lambda: None
        """Called when the journal does not take a kill."""
        self.triggered: Counter[str] = Counter()
        """Switches engaged by cause, since somebody last counted and cleared them."""
        self.watches = guards is not None
        """Whether it wants to hear what is said."""

    @property
    def handlers(self) -> dict[type[Message], Handler]:
        """What it listens to, besides commands."""
        found: dict[type[Message], Handler] = {}
        if self.guards is not None:
            found[SliceEvent] = self.reached
        plans = None if self.controls is None else self.controls.plans
        if plans is not None:
            found |= {RebalancePlan: plans.proposed, PlanDecision: plans.decided}
        return found

    @property
    def signed(self) -> Callable[[UUID, str, Side], float] | None:
        """The units that a plan wants of a symbol on a side; None when nobody looks at plans."""
        plans = None if self.controls is None else self.controls.plans
        return None if plans is None else plans.signed

    @property
    def idle(self) -> bool:
        """Whether no market event can make it act."""
        return not (self.alert or self._hears) and (self.guards is None or self.guards.idle)

    @property
    def _hears(self) -> bool:
        return self.controls is not None and self.controls.hears

    def reached(self, moment: SliceEvent) -> tuple[()]:
        """Judge at the end of this moment."""
        if self.guards is not None:
            self.guards.reached(moment)
            self.alert = True
        return ()

    def command(self, command: KillSwitchCommand) -> Sequence[Message]:
        """Latch or release a kill switch and return what is to be said; nothing when it was heard before.

        Raises:
            Unprocessable: when a release is not allowed.
        """
        if command.command_id in self._released:
            return ()
        refusal = None if command.engage else self._refusal(command)
        if refusal is not None:
            raise Unprocessable(FieldError("/engage", f"the kill switch stays engaged: {refusal}", _POLICY))
        return self._obey(command) if self._latched(command) else ()

    def tighten(self, limits: LimitSettings, operator: str, reason: str) -> Sequence[str]:
        """Judge by ``limits`` from now on, at the wish of ``operator``; returns the names of those that changed.

        Raises:
            LooserLimit: when one is looser than before, and none has changed.
        """
        if self.controls is None:
            raise LooserLimit("this order plane has no limits that could be set")
        before = self.controls.limits
        told = {"event": "LIMITS", "operator": operator, "reason": reason, **changes(before, limits)}
        try:
            checks = self.controls.tighten(limits)
        except LooserLimit as error:
            self._journal.witness({**told, "done": False, "refusal": str(error)})
            raise
        self._judge_by(limits, checks)
        self._journal.note(note_of(self.controls.configured, limits))
        self._journal.witness({**told, "done": True})
        return [name for name in LimitSettings.model_fields if getattr(before, name) != getattr(limits, name)]

    def _judge_by(self, limits: LimitSettings, checks: Sequence[RiskCheck]) -> None:
        self._desk.tighten(checks)
        for guard in () if self.guards is None else self.guards.all:
            guard.fresh_for = limits.reference_max_age

    def forget_limits(self, operator: str, reason: str) -> None:
        """Let the next start go by its configuration, at the wish of ``operator``; until then nothing changes."""
        self._journal.note(FORGOTTEN)
        self._journal.witness({"event": "LIMITS_FORGOTTEN", "operator": operator, "reason": reason})

    def remember(self, message: Message) -> None:
        """Take a plan, or a command given before this process or while there was none; `begin` carries that out."""
        if isinstance(message, KillSwitchCommand):
            self._told.append(message)
        elif type(message) in self.handlers and not isinstance(message, SliceEvent):
            self.handlers[type(message)](message)

    def started(self, running: Running) -> Sequence[Message]:
        """Say what is not as at the last start on this journal; raises JournalError as `compared` does."""
        return compared(self._journal, running, self._desk.as_of())

    def begin(self) -> Sequence[Message]:
        """Come back to where the journal was, and carry out the commands remembered that it does not know yet.

        What is engaged is said again: whoever else listens may not have heard it before the last life ended.
        """
        notes = self._journal.notes()
        for command in self._journal.commands():
            self._desk.command(command)
            if not command.engage:
                self._released.add(command.command_id)
        if self.guards is not None:
            self.guards.restore({name: text for name, text in notes.items() if name.startswith("guard ")})
            self.guards.catch_up(self._desk.switch)
        changed = () if self.controls is None else self._set(self.controls, notes)
        self.alert = self.watches = True
        refused = {name.removeprefix(_REFUSED) for name in notes if name.startswith(_REFUSED)}
        told, self._told = self._told, []
        if any(each.scope is KillScope.STRATEGY for each in told):
            self._desk.books.strategies.update(past.intent.strategy_id for past in self._journal.pasts())
        said: list[Message] = [*changed, *self._desk.switch.engaged, *self._desk.halts.engaged]
        for command in told:
            try:
                said += () if str(command.command_id) in refused else self.command(command)
            except Unprocessable as verdict:
                said.append(warning("RELEASE_REFUSED", verdict.error.rule, command.timestamp))
        return said

    def _set(self, controls: Controls, notes: Mapping[str, str]) -> Sequence[Message]:
        """Have the controls remember what was kept for them, and judge by the limits that were in force."""
        controls.restore(notes)
        limits, told = in_force(notes, controls.configured)
        if limits is not controls.configured:
            self._judge_by(limits, controls.tighten(limits))
        self._journal.note(note_of(controls.configured, limits))
        return () if told is None else [warning("LIMITS_IN_FORCE", told, self._desk.as_of())]

    def learn(self, past: Past) -> None:
        """Count an intent of an earlier run for the controls, and for the guards what came of it."""
        books = self._desk.books
        books.strategies.add(past.intent.strategy_id)
        books.admitted += not past.is_no_order
        if self.controls is not None:
            self.controls.recall(past)
        if self.guards is not None and past.facts:
            self.guards.learn(past)

    def overhear(self, outputs: Iterable[Message]) -> bool:
        """Hear ``outputs`` between two sends; whether they are a storm that must be judged before the next one."""
        if self.guards is None:
            return False
        self.guards.heard(outputs)
        return self.guards.stormy

    def act(self, outputs: Iterable[Message]) -> Sequence[Message]:
        """Hear ``outputs`` and judge; what trips is latched before it is said."""
        said: list[Message] = []
        if self.guards is not None:
            self.guards.heard(outputs)
            for each in self.guards.judge(self._desk):
                if isinstance(each, RiskAlert):
                    said.append(each)
                else:
                    said += self.engage(each)
        return said

    def engage(self, command: KillSwitchCommand) -> Sequence[Message]:
        """Engage what the plane itself wants engaged; one released at the same event time gets another name."""
        for number in count(2):
            if self._latched(command):
                return command, *self._obey(command)
            if self._desk.switch.meets(command):
                return ()
            name = kill_id(f"{command.cause} {number}", command.scope.value, command.target, command.timestamp)
            command = command.model_copy(update={"command_id": name})
        return ()

    def closing(self, untold: Collection[str] = ()) -> list[SubmitOrder]:
        """Orders of our own that close what must be closed, but in symbols ``untold``; they count from now on."""
        wished = self._flattening.intents(self._desk, untold) if self._desk.switch.flattens else ()
        return [self._desk.admit(intent) for intent in wished if self._journal.recall(intent) is Recall.NEW]

    def latch(self) -> Sequence[Message]:
        """Make the halts durable that the desk has ordered by itself; they are to be said."""
        ordered, said = self._desk.halts.ordered, []
        while ordered:
            self._latched(ordered[0])
            self.triggered[ordered[0].cause] += 1
            said.append(ordered.pop(0))
        return said

    def settled(self, outputs: Iterable[Message]) -> Measured:
        """Hear what was said; returns what was measured, which the caller must keep."""
        guards, measured = self.guards, NOTHING
        if guards is not None:
            guards.heard(outputs)
            if self.alert:
                measured = Measured(guards.changed(), guards.lasting)
        if self.controls is not None and (kept := self.controls.changed()):
            measured = Measured({**measured.notes, **kept}, measured.lasting)
        waits = guards is not None and guards.due
        flattens = self._desk.switch.flattens
        self.watches = flattens or guards is not None or self._hears
        self.alert = waits or (flattens and self._flattening.wanted(self._desk))
        return measured

    def newest(self, command: KillSwitchCommand) -> KillSwitchCommand | None:
        """The command latched last of those that hold what ``command`` would engage or release, if any does.

        A release must name it. So one that is heard late undoes no newer kill, whatever clock dates either.
        """
        if command.scope is KillScope.SYMBOL:
            return self._desk.halts.newest(command.target)
        return self._desk.switch.newest(command)

    def _obey(self, command: KillSwitchCommand) -> Sequence[Message]:
        self.alert = self.watches = True
        if command.engage:
            self.triggered[command.cause] += 1
        else:
            self._released.add(command.command_id)
        if self.guards is not None:
            self.guards.obey(command)
        why = unmet(command, self._desk.books.known(command))
        doubt = () if why is None else (critical("KILL_TARGET_UNKNOWN", why, command.timestamp),)
        return *self._desk.command(command), *doubt

    def _latched(self, command: KillSwitchCommand) -> bool:
        """Make ``command`` durable; False when it was. A kill that cannot be holds for the rest of this process."""
        try:
            return self._journal.record_command(command)
        except Exception:
            if command.engage:
                self._desk.command(command)
                self.unlatched()
            raise

    def _refusal(self, release: KillSwitchCommand) -> str | None:
        """Why ``release`` is not allowed; what was refused once stays so, however often it is heard."""
        name = f"{_REFUSED}{release.command_id}"
        before = self._journal.noted(name)
        if before is not None:
            return before
        why = why_not_released(release, self.newest(release), self._desk.switch, self.guards)
        if why is not None:
            self.witness(refused("kill", release.model_dump(mode="json", exclude_none=True), why))
            self._journal.note({name: why})
        return why
