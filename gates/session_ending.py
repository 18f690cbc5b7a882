"""How a session hears that it is to end, and what broke off before it did."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, current_thread, main_thread

_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Told(Event):
    """Set once a session is to end; a second Ctrl-C interrupts it only while ``breakable``, so that it is written."""

    breakable = True


@contextmanager
def noted(problems: list[str], what: str, told: Told) -> Iterator[None]:
    """Add to ``problems`` what ends ``what`` early, a second Ctrl-C too; what follows is not interrupted by one."""
    try:
        told.breakable = True
        yield
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - hours would be lost for whatever it is
        problems.append(f"{what}: {type(error).__name__}: {error}".removesuffix(": "))
    finally:
        told.breakable = False


@contextmanager
def told_to_end() -> Iterator[Told]:
    """Set once Ctrl-C is pressed, the terminal is closed or the process is told to end; a second Ctrl-C interrupts."""
    told = Told()

    def hear(number: int, _: object) -> None:
        if told.is_set() and told.breakable and number == signal.SIGINT:
            told.breakable = False
            raise KeyboardInterrupt
        told.set()

    main = current_thread() is main_thread()
    before = {each: signal.signal(each, hear) for each in _ENDINGS} if main else {}
    try:
        yield told
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
