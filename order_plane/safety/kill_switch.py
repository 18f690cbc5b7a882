"""The latched kill switch: what it stops and how it is released."""

from contracts.control import KillAction, KillScope, KillSwitchCommand


class KillSwitch:
    """The switches that are engaged, as a fold over commands in the order they were given.

    A switch stays engaged until a command with the same scope and target releases it; who gave which
    command and why stays in the journal. Of several commands the first one counts, unless a later one also closes
    positions; once one of them asks for an investigation, that stays asked for.
    """

    __slots__ = ("_account", "_engaged", "_investigated", "_newest")

    def __init__(self, account: str) -> None:
        self._account = account
        self._engaged: dict[tuple[KillScope, str], KillSwitchCommand] = {}
        self._newest: dict[tuple[KillScope, str], KillSwitchCommand] = {}
        self._investigated: set[tuple[KillScope, str]] = set()

    def apply(self, command: KillSwitchCommand) -> None:
        """Engage or release; repeating either changes nothing."""
        key = _key(command)
        if command.action is KillAction.HALT_AND_INVESTIGATE:
            self._investigated.add(key)
        if not command.engage:
            self._engaged.pop(key, None)
            self._newest.pop(key, None)
            self._investigated.discard(key)
            return
        self._newest[key] = command
        if key not in self._engaged or (_flattens(command) and not _flattens(self._engaged[key])):
            self._engaged[key] = command

    @property
    def engaged(self) -> tuple[KillSwitchCommand, ...]:
        """The command that engaged each switch, oldest first."""
        return tuple(self._engaged.values())

    @property
    def flattens(self) -> bool:
        """Whether any of them wants positions closed."""
        return any(map(_flattens, self._engaged.values()))

    def is_engaged(self, scope: KillScope, target: str) -> bool:
        """Whether this very switch is engaged."""
        return (scope, "*" if scope is KillScope.GLOBAL else target) in self._engaged

    def asks_for_investigation(self, command: KillSwitchCommand) -> bool:
        """Whether the switch which ``command`` is about must be investigated before it is released."""
        return _key(command) in self._investigated

    def concerns(self, command: KillSwitchCommand) -> bool:
        """Whether ``command`` is about this account."""
        return command.scope is not KillScope.ACCOUNT or command.target in ("*", self._account)

    def engaged_as(self, command: KillSwitchCommand) -> KillSwitchCommand | None:
        """The command that engaged the switch which ``command`` is about."""
        return self._engaged.get(_key(command))

    def newest(self, command: KillSwitchCommand) -> KillSwitchCommand | None:
        """The last command that was latched of those that hold the switch which ``command`` is about, if any does."""
        return self._newest.get(_key(command))

    def closes(self, strategy_id: str) -> bool:
        """Whether positions of ``strategy_id`` on this account must be closed."""
        covering = ((KillScope.GLOBAL, "*"), (KillScope.ACCOUNT, self._account), (KillScope.STRATEGY, strategy_id))
        return any(
            _flattens(command)
            for scope, target in covering
            for command in (self._engaged.get((scope, target)), self._engaged.get((scope, "*")))
            if command is not None
        )

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


def switch_name(scope: KillScope, target: str) -> str:
    """How people and `status` call a switch or a halt."""
    return f"{scope.value} {'*' if scope is KillScope.GLOBAL else target}"


def _key(command: KillSwitchCommand) -> tuple[KillScope, str]:
    return command.scope, "*" if command.scope is KillScope.GLOBAL else command.target


def _flattens(command: KillSwitchCommand) -> bool:
    return command.action is KillAction.HALT_AND_FLATTEN
