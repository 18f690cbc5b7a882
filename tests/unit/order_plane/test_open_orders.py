"""Open orders are listed whether or not the order plane runs, and one is cancelled or replaced where it does."""

import threading
import time
from uuid import UUID

import pytest
from typer.testing import CliRunner

from contracts.trading import ExecutionReport, OrderIntent, OrderType, TimeInForce
from kernel.audit_trail import entries
from launcher.cli import app
from launcher.order_journal import JOURNAL
from order_plane.brokers.ibkr_tracked import fill_number
from order_plane.command_channel import SOCKET, CommandChannel
from order_plane.composition import build_stage
from order_plane.facts import Fact, FactKind
from order_plane.operator_commands import operator_commands
from order_plane.settings import OrderSettings

SIGNED = ("--operator", "ann", "--reason", "no longer wanted")


@pytest.fixture
def stage(tmp_path, make_bar, make_intent):
    """A plane with order 1 resting and order 2 filled."""
    plane = build_stage(OrderSettings(journal_path=tmp_path / JOURNAL, paper_store_path=tmp_path / "venue.sqlite"))
    plane.recover()
    resting = {"order_type": OrderType.LIMIT, "limit_price": 90.0, "time_in_force": TimeInForce.GTC}
    for message in (
        make_bar(),
        make_intent(1, **resting),
        make_intent(2, quantity=7.0, time_in_force=TimeInForce.GTC),
        make_bar(1),
    ):
        plane.handlers[type(message)](message)
        plane.settle()
    yield plane
    plane.close()


def orders(*arguments, columns=250):
    return CliRunner().invoke(app, ["orders", *map(str, arguments)], env={"COLUMNS": str(columns)})


def served(stage, place, *arguments):
    """The outcome of a command, and what it led to, while the plane's loop answers."""
    said, outcome = [], []
    channel = CommandChannel(place / SOCKET, operator_commands(stage, said.extend))
    client = threading.Thread(target=lambda: outcome.append(orders(*arguments, "--state", place)))
    client.start()
    while client.is_alive():
        channel.poll()
        time.sleep(0.005)
    channel.close()
    return outcome[0], said


def test_open_orders_are_listed_and_ended_ones_on_request(stage, tmp_path):
    shown = orders("list", "--state", tmp_path)
    assert shown.exit_code == 0, shown.output
    assert "00000000 2024-01-02 17:00:00 AAPL" in shown.output
    assert "Accepted" in shown.output
    assert "Filled" not in shown.output
    everything = orders("list", "--all", "--state", tmp_path).output
    assert "Filled" in everything
    assert str(UUID(int=2)) in everything
    newest = orders("list", "--all", "--newest", 1, "--state", tmp_path).output
    assert "and 1 older ones" in newest
    assert "no order is open" in orders("list", "--symbol", "MSFT", "--state", tmp_path).output


def test_why_orders_were_rejected_is_said_once_for_each_reason(stage, tmp_path, make_intent):
    for number in (3, 4):
        stage.handlers[OrderIntent](make_intent(number, quantity=1e9))
    stage.handlers[OrderIntent](make_intent(5, symbol="NONE"))
    stage.settle()
    large, small, unknown = [stage._journal.reports_of(UUID(int=each))[-1].reject_reason for each in (3, 4, 5)]
    said = orders("list", "--all", "--state", tmp_path).output
    assert large == small
    assert f"rejected for {large}: {UUID(int=3)}, {UUID(int=4)}\n" in said
    assert f"rejected for {unknown}: {UUID(int=5)}\n" in said
    assert "rejected" not in orders("list", "--state", tmp_path).output


def test_an_order_is_cancelled_and_the_journal_knows_who_wished_it(stage, tmp_path):
    done, said = served(stage, tmp_path, "cancel", UUID(int=1), *SIGNED)
    assert done.exit_code == 0, done.output
    assert said[-1].status.value == "CANCELED"
    assert "no order is open" in orders("list", "--state", tmp_path).output
    facts = stage._journal.past(UUID(int=1)).facts
    (wish,) = [fact for fact in facts if fact.kind is FactKind.CANCEL_REQUESTED]
    assert wish.reason == "ann: no longer wanted"


def test_what_is_not_open_is_not_cancelled(stage, tmp_path):
    done, said = served(stage, tmp_path, "cancel", UUID(int=2), *SIGNED)
    assert (done.exit_code, said) == (1, [])
    assert "no order of this intent is open" in done.output


def test_without_a_plane_nothing_is_cancelled_and_that_is_said(stage, tmp_path):
    done = orders("cancel", UUID(int=1), *SIGNED, "--state", tmp_path)
    assert done.exit_code == 1
    assert "no order plane runs here" in done.output


def test_a_cancel_needs_a_name_and_a_reason(stage, tmp_path):
    done, said = served(stage, tmp_path, "cancel", UUID(int=1), "--operator", "a" * 65, "--reason", "x")
    assert (done.exit_code, said) == (1, [])
    assert "a named operator" in done.output


def test_an_order_is_replaced_and_the_journal_knows_who_wished_it(stage, tmp_path):
    done, said = served(stage, tmp_path, "replace", UUID(int=1), "--quantity", 4, "--limit-price", 91.5, *SIGNED)
    assert done.exit_code == 0, done.output
    assert "REPLACED: 4 units limit 91.5" in done.output
    assert [each.status.value for each in said] == ["ACKNOWLEDGED"]
    facts = stage._journal.past(UUID(int=1)).facts
    (wish,) = [fact for fact in facts if fact.kind is FactKind.REPLACE_REQUESTED]
    assert (wish.reason, wish.quantity, wish.price) == ("ann: no longer wanted", 4.0, 91.5)


def row(place):
    """The cells of the one order that is listed."""
    return " ".join(orders("list", "--state", place).output.splitlines()[-1].split())


def test_a_replaced_order_is_listed_as_it_works_now_and_as_it_was_wished(stage, tmp_path):
    assert "10 0 LIMIT 90 Accepted" in row(tmp_path)
    assert served(stage, tmp_path, "replace", UUID(int=1), "--quantity", 4, *SIGNED)[0].exit_code == 0
    assert "4 (was 10) 0 LIMIT 90 Accepted" in row(tmp_path)
    assert served(stage, tmp_path, "replace", UUID(int=1), "--limit-price", 91.5, *SIGNED)[0].exit_code == 0
    assert "4 (was 10) 0 LIMIT 91.5 (was LIMIT 90) Accepted" in row(tmp_path)


@pytest.fixture
def long_names(stage, make_intent):
    """The plane with two more orders, whose ids have the same ten digits first; returns the ids."""
    ids = [UUID("1f2e3d4c-5b6a-5000-8000-00000000000a"), UUID("1f2e3d4c-5ba6-5000-8000-00000000000b")]
    for size, each in enumerate(ids, 20):
        resting = {"order_type": OrderType.LIMIT, "limit_price": 90.0, "time_in_force": TimeInForce.GTC}
        wish = make_intent(3, quantity=float(size), **resting).model_copy(update={"intent_id": each})
        stage.handlers[OrderIntent](wish)
        stage.settle()
    return ids


def test_in_a_terminal_of_80_columns_every_id_can_be_copied(stage, long_names, tmp_path):
    shown = orders("list", "--state", tmp_path, columns=80)
    assert all(len(line) <= 80 for line in shown.output.splitlines())
    ids = [line.split()[0] for line in shown.output.splitlines() if "AAPL" in line]
    for copied, whole in zip(ids, (UUID(int=1), *long_names), strict=True):
        done, said = served(stage, tmp_path, "cancel", copied, *SIGNED)
        assert (done.exit_code, said[-1].intent_id) == (0, whole)


def test_the_first_digits_name_an_order_unless_several_begin_so(stage, long_names, tmp_path):
    first, second = long_names
    done, said = served(stage, tmp_path, "cancel", "1F2E3D4C", *SIGNED)
    assert (done.exit_code, said) == (1, [])
    assert "2 open orders have an id that begins with 1F2E3D4C" in done.output
    for nothing in ("77", ""):
        done, said = served(stage, tmp_path, "cancel", nothing, *SIGNED)
        assert (done.exit_code, said) == (1, [])
    done, said = served(stage, tmp_path, "replace", str(first)[:12], "--quantity", 4, *SIGNED)
    assert (done.exit_code, said[-1].intent_id) == (0, first)
    done, said = served(stage, tmp_path, "cancel", second.hex, *SIGNED)
    assert (done.exit_code, said[-1].intent_id) == (0, second)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ((), "a quantity (units) or a limit_price above 0"),
        (("--quantity", "-3"), "a quantity (units) or a limit_price above 0"),
        (("--limit-price", "nan"), "a quantity (units) or a limit_price above 0"),
        (("--quantity", "1e9"), "QUANTITY_ABOVE_INTENT"),
        (("--limit-price", "900"), "PRICE_COLLAR"),
    ],
)
def test_terms_that_may_not_be_change_nothing(stage, tmp_path, terms, words):
    done, said = served(stage, tmp_path, "replace", UUID(int=1), *terms, *SIGNED)
    assert (done.exit_code, said) == (1, [])
    assert words in done.output
    assert all(fact.kind is not FactKind.REPLACE_REQUESTED for fact in stage._journal.past(UUID(int=1)).facts)


def test_without_a_plane_nothing_is_replaced_and_that_is_said(stage, tmp_path):
    done = orders("replace", UUID(int=1), "--quantity", 4, *SIGNED, "--state", tmp_path)
    assert done.exit_code == 1
    assert "no order plane runs here" in done.output


FILL = ("--quantity", "4", "--price", "89.5", "--commission", "1", "--at", "2024-01-01T16:00:00Z", *SIGNED)


def test_an_execution_that_the_venue_tells_no_more_is_booked_once_with_who_said_so(stage, tmp_path):
    held, cash = stage.desk.positions["AAPL"], stage.desk.cash
    shown, said = served(stage, tmp_path, "book-fill", UUID(int=1), "--fill", "x.01", *FILL)
    assert (shown.exit_code, shown.output) == (0, "booked\n"), shown.output
    (report,) = [each for each in said if isinstance(each, ExecutionReport)]
    assert (report.status.value, report.last_quantity, report.last_price) == ("PARTIAL_FILL", 4.0, 89.5)
    assert (stage.desk.positions["AAPL"] - held, stage.desk.cash - cash) == (4.0, pytest.approx(-4 * 89.5 - 1.0))
    shown, said = served(stage, tmp_path, "book-fill", UUID(int=1), "--fill", "x.01", *FILL)
    assert (shown.exit_code, shown.output, said) == (0, "it was booked before\n", [])
    shown, _ = served(stage, tmp_path, "book-fill", UUID(int=1), "--fill", "x.01", *FILL, "--price", "88")
    assert (shown.exit_code, "booked already, with 4 at 89.5" in shown.output) == (1, True)
    assert stage.desk.positions["AAPL"] - held == 4.0
    booked = [
        each
        for each in entries(OrderSettings(journal_path=tmp_path / JOURNAL).audit_path)
        if each.get("fact_id") == "x.01"
    ]
    assert [each["reason"] for each in booked] == ["BOOKED: signed by ann: no longer wanted"]


@pytest.mark.parametrize(
    ("number", "changes", "why"),
    [
        (1, ("--quantity", "10.5"), "cannot be true"),
        (2, (), "cannot be true"),
        (3, (), "no order of this intent was sent"),
        (1, ("--quantity", "0"), "quantity: wrong or missing"),
        (1, ("--price", "nan"), "price: wrong or missing"),
        (1, ("--at", "yesterday"), "at: wrong or missing"),
        (1, ("--operator", "a" * 65), "operator: wrong or missing"),
    ],
)
def test_an_execution_that_cannot_be_one_of_the_order_is_not_booked(stage, tmp_path, number, changes, why):
    held = dict(stage.desk.positions)
    shown, said = served(stage, tmp_path, "book-fill", UUID(int=number), "--fill", "x.01", *FILL, *changes)
    assert (shown.exit_code, why in shown.output, said) == (1, True, []), shown.output
    assert dict(stage.desk.positions) == held


def test_what_the_venue_tells_after_all_of_a_booked_execution_is_the_same_execution(stage, tmp_path):
    stage._broker.execution = fill_number
    held = stage.desk.positions["AAPL"]
    assert served(stage, tmp_path, "book-fill", UUID(int=1), "--fill", "x.01", *FILL)[0].exit_code == 0
    told = Fact(UUID(int=1), FactKind.FILL, "x", stage.desk.now, "v-1", 4.0, 89.5, 1.0, 1_001)
    for fact in (told, told._replace(quantity=3.0, revision=2_002)):
        stage._broker._news.append(fact)
        stage._broker._changed.append(next(stage._broker._working()))
        stage.settle()
        assert stage.desk.positions["AAPL"] - held == fact.quantity


def test_without_an_order_plane_no_execution_is_booked(stage, tmp_path):
    shown = orders("book-fill", UUID(int=1), "--fill", "x.01", *FILL, "--state", tmp_path)
    assert (shown.exit_code, "no order plane runs here" in shown.output) == (1, True)
