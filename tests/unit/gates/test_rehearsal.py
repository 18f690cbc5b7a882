from contextlib import contextmanager
from subprocess import CompletedProcess, TimeoutExpired

import pytest

from gates import rehearsal
from gates.rehearsal import RehearsalFailed, rehearse


class Plane:
    """Never gets armed, or is and then nobody can look; remembers its commands and answers them with ``code``."""

    def __init__(self, code, *, armed):
        self.code, self.armed = code, armed
        self.commands = []

    def wait_for(self, word, seconds):
        return self.armed

    def command(self, *words):
        self.commands.append(words[:2])
        if self.code is None:
            raise TimeoutExpired("rollback", 180.0)
        return CompletedProcess(words, self.code, "", "")


@pytest.mark.parametrize("armed", [False, True])
@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0, "what it had bought and ordered is gone again"),
        (1, "cancel the orders of account DU1234567 and close its AAPL in TWS"),
        (None, "cancel the orders of account DU1234567 and close its AAPL in TWS"),
    ],
)
def test_a_rehearsal_that_breaks_off_gives_back_what_it_bought_or_says_who_must(
    context, tmp_path, monkeypatch, armed, code, said
):
    plane, looks = Plane(code, armed=armed), []

    @contextmanager
    def served(context, folder):
        (folder / "rehearsal.log").write_text("nothing traded\n", "utf-8")
        yield plane

    def look(order, client):
        looks.append(client)
        if len(looks) > 1:
            raise TimeoutError("no answer")

    monkeypatch.setattr(rehearsal, "order_plane", served)
    monkeypatch.setattr(rehearsal, "look", look)
    with pytest.raises(RehearsalFailed, match=said) as failure:
        rehearse(context, tmp_path)
    assert ("no answer" if armed else "no position and no working order") in str(failure.value)
    assert plane.commands == [("rollback", "run")]
