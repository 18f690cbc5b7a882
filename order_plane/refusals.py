"""What a person asked for and did not get: why a release is not allowed, and the audit log's entry on any refusal."""

from collections.abc import Mapping

from pydantic import JsonValue

from contracts.control import KillScope, KillSwitchCommand
from order_plane.safety.guards import Guards
from order_plane.safety.kill_switch import KillSwitch

_LONGEST, _MOST = 512, 12
"""Characters of one text in an entry, and fields: whoever asks may write what he likes."""
_UNSAID = ("command", "event_type")


def why_not_released(
    release: KillSwitchCommand, newest: KillSwitchCommand | None, switch: KillSwitch, guards: Guards | None
) -> str | None:
    """Why ``release`` is not allowed, if so; ``newest`` is the command latched last of those that hold its switch."""
    if not release.reason.strip():
        return "it gives no reason"
    if release.scope is KillScope.GLOBAL and release.target != "*":
        return f"it is for everything and names one target, {release.target}; say which of the two is meant"
    if newest is not None and release.ends != newest.command_id:
        who = f"{newest.cause} by {newest.operator}, {newest.command_id}"
        return f"it does not name the newest command that holds it ({who}); look at that, and repeat it if it is meant"
    if switch.asks_for_investigation(release) and not release.two_persons:
        return "it asks for an investigation; name the second operator who confirms it"
    return None if guards is None else guards.forbids(release)


def refused(command: str, asked: Mapping[str, object], why: str) -> dict[str, JsonValue]:
    """The entry on ``command``, which was refused: who asked for what, and ``why`` not."""
    fields = [(str(name)[:64], str(value)[:_LONGEST]) for name, value in asked.items() if name not in _UNSAID]
    said: dict[str, JsonValue] = {**dict(fields[:_MOST])}
    who = {name: said.get(name, "") for name in ("operator", "reason")}
    told: dict[str, JsonValue] = {"event": "COMMAND_REFUSED", "command": command, **who}
    return {**told, "done": False, "refusal": why[:_LONGEST], "asked": said}
