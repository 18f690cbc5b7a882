from uuid import UUID

import pytest
from order_messages import as_shown
from typer.testing import CliRunner

from contracts.codec import encode
from contracts.control import KillScope
from launcher.cli import app
from order_plane.command_channel import CommandRefused
from order_plane.composition import build_simulation
from order_plane.journals.sqlite import SqliteJournal
from order_plane.operator_commands import operator_commands
from order_plane.safety.symbol_halts import ODD_FACTS, SymbolHalts, halt_command
from order_plane.settings import Mode, OrderSettings


def test_a_halt_is_named_by_its_evidence_and_released_once_for_all(make_command, noon):
    halts = SymbolHalts()
    halt = halt_command("AAPL", "odd", noon, "order 1 overfilled", ODD_FACTS)
    halts.apply(halt)
    assert halts.reasons == {"AAPL": "odd"}
    assert (halts.reason("MSFT"), halts.stands(halt.command_id)) == (None, True)
    halts.apply(make_command(False, 9, KillScope.SYMBOL, "AAPL"))
    halts.apply(halt_command("AAPL", "odd", noon, "order 1 overfilled", ODD_FACTS))
    assert halts.reason("AAPL") is None
    halts.apply(halt_command("AAPL", "odd again", noon, "order 2 overfilled", ODD_FACTS))
    assert "odd again" in halts.reason("AAPL")


def test_a_halt_of_the_account_covers_every_symbol(noon):
    halts = SymbolHalts()
    halts.apply(halt_command("*", "cash", noon, "5 missing", ODD_FACTS))
    assert "cash" in halts.reason("AAPL")


@pytest.mark.parametrize("scope", [KillScope.GLOBAL, KillScope.SYMBOL])
def test_a_release_that_releases_nothing_is_refused(make_command, scope):
    stage = build_simulation(OrderSettings(mode=Mode.SIMULATION))
    commands = operator_commands(stage, lambda messages: None)
    with pytest.raises(CommandRefused):
        commands["release"]({"message": encode(make_command(False, 9, scope, "AAPL")).decode()})


def test_a_running_plane_releases_a_symbol(make_command, noon):
    stage = build_simulation(OrderSettings(mode=Mode.SIMULATION))
    stage.desk.halts.halt("AAPL", "odd", noon, "evidence", ODD_FACTS)
    answer = operator_commands(stage, lambda messages: None)["release"](
        {"message": encode(as_shown(stage, make_command(False, 9, KillScope.SYMBOL, "AAPL"))).decode()}
    )
    assert answer["halted"] == {}


def test_the_command_line_writes_a_release_for_a_plane_that_does_not_run(tmp_path, noon):
    journal = SqliteJournal(tmp_path / "order_journal.sqlite")
    journal.record_command(halt_command("AAPL", "odd", noon, "evidence", ODD_FACTS))
    journal.close()
    runner = CliRunner()
    words = ["--operator", "ann", "--reason", "asked the venue", "--state", str(tmp_path)]
    assert runner.invoke(app, ["orders", "release-symbol", "MSFT", *words]).exit_code == 1
    assert runner.invoke(app, ["orders", "release-symbol", "AAPL", *words[2:], "--operator", " "]).exit_code == 2
    assert runner.invoke(app, ["orders", "release-symbol", "AAPL", *words]).exit_code == 0
    journal = SqliteJournal(tmp_path / "order_journal.sqlite")
    halted, released = journal.commands()
    journal.close()
    assert (released.engage, released.target, released.operator) == (False, "AAPL", "ann")
    assert released.command_id != halted.command_id != UUID(int=0)
