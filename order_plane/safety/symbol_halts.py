"""Which symbols must not be traded until a named person releases them."""

from datetime import datetime
from uuid import UUID

from contracts.control import KillScope, KillSwitchCommand
from domain.ids import halt_id
from order_plane.alerts import sentence

EVERY_SYMBOL = "*"
ORDER_PLANE = "order-plane"
"""The operator of halts that the plane gives itself."""
ODD_FACTS = "ORDER_FACTS_ODD"
MISMATCH = "RECONCILIATION_MISMATCH"
CAUSES = (ODD_FACTS, MISMATCH)
"""Why the plane halts a symbol by itself."""


class SymbolHalts:
    """The halts that are engaged, as a fold over commands of the scope SYMBOL in the order they were given.

    A halt that the plane gave itself is named by its evidence, so what a person has released is not halted again
    when a restart finds the same evidence.
    """

    __slots__ = ("_engaged", "_known", "engaged", "held", "ordered")

    def __init__(self) -> None:
        self._engaged: dict[str, dict[UUID, KillSwitchCommand]] = {}
        self._known: set[UUID] = set()
        self.engaged: tuple[KillSwitchCommand, ...] = ()
        """Every halt that stands."""
        self.held: str | None = None
        """Why nothing at all may pass for now; it ends with the process."""
        self.ordered: list[KillSwitchCommand] = []
        """The halts that the plane gave itself and that are not in the journal yet."""

    def apply(self, command: KillSwitchCommand) -> None:
        """Halt or release a symbol; a release ends every halt of its target, and repeating it changes nothing."""
        if command.command_id in self._known:
            return
        self._known.add(command.command_id)
        if command.engage:
            self._engaged.setdefault(command.target, {})[command.command_id] = command
        else:
            self._engaged.pop(command.target, None)
        self.engaged = tuple(each for halts in self._engaged.values() for each in halts.values())

    def halt(self, symbol: str, reason: str, at: datetime, evidence: str, cause: str) -> bool:
        """Halt ``symbol``, ``*`` for all, until a person releases it; False when this ``evidence`` halted it before."""
        command = halt_command(symbol, reason, at, evidence, cause)
        if command.command_id in self._known:
            return False
        self.apply(command)
        self.ordered.append(command)
        return True

    def stands(self, command_id: UUID) -> bool:
        """Whether that halt is engaged."""
        return any(command_id in halts for halts in self._engaged.values())

    def newest(self, symbol: str) -> KillSwitchCommand | None:
        """The last of the halts of ``symbol``, if there is any."""
        return next(reversed(self._engaged.get(symbol, {}).values()), None)

    @staticmethod
    def name_of(symbol: str, evidence: str) -> UUID:
        """The name of the halt of ``symbol`` for ``evidence``."""
        return halt_id(symbol, evidence)

    @property
    def reasons(self) -> dict[str, str]:
        """Why each halted symbol is halted, ``*`` for all."""
        return {symbol: next(iter(halts.values())).reason for symbol, halts in self._engaged.items()}

    def reason(self, symbol: str) -> str | None:
        """Why ``symbol`` must not be traded, if so."""
        if not self._engaged:
            return self.held
        halts = self._engaged.get(symbol) or self._engaged.get(EVERY_SYMBOL)
        return f"the symbol is halted: {next(iter(halts.values())).reason}"[:400] if halts else self.held


def halt_command(symbol: str, reason: str, at: datetime, evidence: str, cause: str) -> KillSwitchCommand:
    """The command by which the plane itself halts ``symbol`` for ``evidence``."""
    return KillSwitchCommand(
        command_id=halt_id(symbol, evidence),
        timestamp=at,
        engage=True,
        scope=KillScope.SYMBOL,
        target=symbol,
        operator=ORDER_PLANE,
        reason=sentence(reason),
        cause=cause,
    )
