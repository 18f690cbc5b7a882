"""Whether a kill names something that trades here."""

from collections.abc import Collection
from heapq import nsmallest

from contracts.control import KillScope, KillSwitchCommand

_SHOWN = 20


def unmet(command: KillSwitchCommand, known: Collection[str]) -> str | None:
    """What to tell a person whose kill is latched and may stop nothing, since its target is not ``known``; else None.

    Such a kill is latched all the same: a strategy that has not wished for anything yet is not known either, and a
    person who stops it before it begins must be able to rely on that. But a mistyped name stops nothing that trades,
    so nobody may believe that it did.
    """
    target = command.target
    if not command.engage or command.scope is KillScope.GLOBAL or target == "*" or target in known:
        return None
    names = nsmallest(_SHOWN, known)
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return (
        f"latched for whenever it comes, but no {command.scope.value.lower()} named {target} is known here;"
        f" known: {', '.join(names) or 'none'}{more}. If one of these was meant, repeat the kill with its name"
    )
