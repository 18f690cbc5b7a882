"""Whether a plane has its gateway, for whoever looks from outside: a file while it has not."""

from pathlib import Path

_NAME = "gateway_gone."


class GatewayNote:
    """Told again and again whether ``plane`` has its gateway, it keeps a file in ``directory`` while it has not."""

    def __init__(self, directory: Path, plane: str) -> None:
        self._path = directory / f"{_NAME}{plane}"
        self._known: bool | None = None

    def __call__(self, *, connected: bool) -> None:
        """Take the state of now."""
        if connected is self._known:
            return
        self._known = connected
        if connected:
            self._path.unlink(missing_ok=True)
        else:
            self._path.touch()


def planes_without_gateway(directory: Path) -> tuple[str, ...]:
    """The planes with this directory that have not their gateway, by name."""
    return tuple(sorted(path.name.removeprefix(_NAME) for path in directory.glob(f"{_NAME}*")))
