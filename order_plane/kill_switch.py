"""The latched kill switch: what it stops and how it is released."""

from contracts.control import KillScope, KillSwitchCommand


class KillSwitch:
    """The switches that are engaged, as a fold over commands in the order they were given.

    A switch stays engaged until a command with the same scope and target releases it; who gave which
    command and why stays in the journal.
    """

    __slots__ = ("_account", "_engaged")

    def __init__(self, account: str) -> None:
        self._account = account
        self._engaged: dict[tuple[KillScope, str], KillSwitchCommand] = {}

    def apply(self, command: KillSwitchCommand) -> None:
        """Engage or release; repeating either changes nothing."""
        target = "*" if command.scope is KillScope.GLOBAL else command.target
        if command.engage:
            self._engaged.setdefault((command.scope, target), command)
        else:
            self._engaged.pop((command.scope, target), None)

    @property
    def engaged(self) -> tuple[KillSwitchCommand, ...]:
        """The command that engaged each switch, oldest first."""
        return tuple(self._engaged.values())

    def stops(self, strategy_id: str) -> KillSwitchCommand | None:
        """The switch that forbids ``strategy_id`` to trade on this account, if any."""
        if not self._engaged:
            return None
        return (
            self._engaged.get((KillScope.GLOBAL, "*"))
            or self._covering(KillScope.ACCOUNT, self._account)
            or self._covering(KillScope.STRATEGY, strategy_id)
        )

    def _covering(self, scope: KillScope, target: str) -> KillSwitchCommand | None:
        return self._engaged.get((scope, target)) or self._engaged.get((scope, "*"))
