"""The latched kill switch: what it stops and how it is released."""

from collections.abc import Iterator

from contracts.control import KillAction, KillScope, KillSwitchCommand

_REDUCE_ONLY = KillAction.REDUCE_ONLY
_STRICTER = {_REDUCE_ONLY: 0, KillAction.HALT: 1, KillAction.HALT_AND_INVESTIGATE: 1, KillAction.HALT_AND_FLATTEN: 2}


class KillSwitch:
    """The switches that are engaged, as a fold over commands in the order they were given.

    A switch stays engaged until a command with the same scope and target releases it; who gave which
    command and why stays in the journal. Of several commands the first one counts, unless a later one is stricter: to
    halt is more than to let positions only be reduced, and to close them is most. Once one of them asks for an
    investigation, that stays asked for.
    """

    __slots__ = ("_account", "_engaged", "_investigated", "_newest", "engaged", "flattens", "reduces_only")

    def __init__(self, account: str) -> None:
        self._account = account
        self._engaged: dict[tuple[KillScope, str], KillSwitchCommand] = {}
        self._newest: dict[tuple[KillScope, str], KillSwitchCommand] = {}
        self._investigated: set[tuple[KillScope, str]] = set()
        self.engaged: tuple[KillSwitchCommand, ...] = ()
        """The command that engaged each switch, oldest first."""
        self.flattens = False
        """Whether any of them wants positions closed."""
        self.reduces_only = False
        """Whether any of them lets positions only be reduced."""

    def apply(self, command: KillSwitchCommand) -> None:
        """Engage or release; repeating either changes nothing."""
        if command.engage:
            self._engage(_key(command), command)
        else:
            key = _key(command)
            self._engaged.pop(key, None)
            self._newest.pop(key, None)
            self._investigated.discard(key)
        self.engaged = tuple(self._engaged.values())
        self.flattens = any(map(_flattens, self.engaged))
        self.reduces_only = any(each.action is _REDUCE_ONLY for each in self.engaged)

    def _engage(self, key: tuple[KillScope, str], command: KillSwitchCommand) -> None:
        if command.action is KillAction.HALT_AND_INVESTIGATE:
            self._investigated.add(key)
        self._newest[key] = command
        if key not in self._engaged or _STRICTER[command.action] > _STRICTER[self._engaged[key].action]:
            self._engaged[key] = command

    def holds(self, scope: KillScope, target: str, action: KillAction) -> bool:
        """Whether this very switch is engaged and no less strict than ``action``."""
        engaged = self._engaged.get((scope, "*" if scope is KillScope.GLOBAL else target))
        return engaged is not None and _STRICTER[engaged.action] >= _STRICTER[action]

    def asks_for_investigation(self, command: KillSwitchCommand) -> bool:
        """Whether the switch which ``command`` is about must be investigated before it is released."""
        return _key(command) in self._investigated

    def concerns(self, command: KillSwitchCommand) -> bool:
        """Whether ``command`` is about this account."""
        return command.scope is not KillScope.ACCOUNT or command.target in ("*", self._account)

    def engaged_as(self, command: KillSwitchCommand) -> KillSwitchCommand | None:
        """The command that engaged the switch which ``command`` is about."""
        return self._engaged.get(_key(command))

    def meets(self, command: KillSwitchCommand) -> bool:
        """Whether the switch which ``command`` is about is engaged and no less strict."""
        return self.holds(command.scope, command.target, command.action)

    def newest(self, command: KillSwitchCommand) -> KillSwitchCommand | None:
        """The last command that was latched of those that hold the switch which ``command`` is about, if any does."""
        return self._newest.get(_key(command))

    def closes(self, strategy_id: str) -> bool:
        """Whether positions of ``strategy_id`` on this account must be closed."""
        return any(map(_flattens, self._covering(strategy_id)))

    def stops(self, strategy_id: str) -> KillSwitchCommand | None:
        """The switch that forbids ``strategy_id`` to trade on this account, if any."""
        if not self._engaged:
            return None
        return next((each for each in self._covering(strategy_id) if each.action is not _REDUCE_ONLY), None)

    def narrows(self, strategy_id: str) -> tuple[KillSwitchCommand, ...]:
        """The switches by which orders of ``strategy_id`` may only reduce positions, besides the one that `stops` it.

        One over the strategy means what that holds, every other one what the account holds.
        """
        if not self._engaged:
            return ()
        return tuple(each for each in self._covering(strategy_id) if each.action is _REDUCE_ONLY)

    def _covering(self, strategy_id: str) -> Iterator[KillSwitchCommand]:
        own = ((KillScope.GLOBAL, "*"), (KillScope.ACCOUNT, self._account), (KillScope.STRATEGY, strategy_id))
        for scope, target in own:
            for name in dict.fromkeys((target, "*")):
                command = self._engaged.get((scope, name))
                if command is not None:
                    yield command


def switch_name(scope: KillScope, target: str) -> str:
    """How people and `status` call a switch or a halt."""
    return f"{scope.value} {'*' if scope is KillScope.GLOBAL else target}"


def _key(command: KillSwitchCommand) -> tuple[KillScope, str]:
    return command.scope, "*" if command.scope is KillScope.GLOBAL else command.target


def _flattens(command: KillSwitchCommand) -> bool:
    return command.action is KillAction.HALT_AND_FLATTEN
