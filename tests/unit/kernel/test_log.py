import json
import logging
from datetime import UTC, datetime
from io import StringIO

import pytest
import structlog
from pydantic import SecretBytes, SecretStr

from contracts.market import BarEvent
from contracts.trading import OrderIntent, OrderType, Side
from domain.ids import intent_id
from kernel.log import configure
from kernel.ports import Received
from kernel.pump import HANDLING

MOMENT = datetime(2024, 1, 2, 21, 0, tzinfo=UTC)


@pytest.fixture
def lines():
    """Configure the log as the test asks, and return what it wrote."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    HANDLING.set(None)

    def start(**options):
        stream = StringIO()
        configure("order", "run-7", stream=stream, **options)
        return lambda: stream.getvalue().splitlines()

    yield start
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def parsed(lines) -> list[dict]:
    return [json.loads(line) for line in lines()]


def test_a_line_names_its_plane_and_run_whoever_wrote_it(lines):
    written = lines(format="json")

    structlog.get_logger().info("started", port=9100)
    logging.getLogger("librdkafka").warning("%s is away", "the broker")

    own, foreign = parsed(written)
    assert own["event"] == "started"
    assert own["port"] == 9100
    assert foreign["event"] == "the broker is away"
    for line in (own, foreign):
        assert line["plane"] == "order"
        assert line["run_id"] == "run-7"
        assert datetime.fromisoformat(line["timestamp"]).utcoffset().total_seconds() == 0
    assert [own["level"], foreign["level"]] == ["info", "warning"]


def test_a_line_names_the_message_in_hand_as_its_cause(lines):
    written = lines(format="json")
    log = structlog.get_logger()
    bar = BarEvent(symbol="AAPL", timestamp=MOMENT, open=1.0, high=1.0, low=1.0, close=1.0, volume=1.0)
    intent = OrderIntent(
        intent_id=intent_id("s", "MSFT", MOMENT),
        symbol="MSFT",
        direction=Side.BUY,
        quantity=1.0,
        order_type=OrderType.MARKET,
        timestamp=MOMENT,
    )

    log.info("before")
    for received in (Received(bar, "market_events", 2, 17), Received(intent, "order_intents", 0, 5)):
        token = HANDLING.set(received)
        logging.getLogger("x").warning("during")
        HANDLING.reset(token)
    log.info("after")

    before, at_bar, at_intent, after = parsed(written)
    assert "cause" not in before
    assert "cause" not in after
    assert (at_bar["symbol"], at_bar["cause"]) == ("AAPL", "market_events/2/17")
    assert (at_intent["symbol"], at_intent["cause"]) == ("MSFT", "order_intents/0/5")
    assert at_intent["intent_id"] == str(intent.intent_id)


def test_bound_context_is_in_every_line(lines):
    written = lines(format="json")

    with structlog.contextvars.bound_contextvars(account="paper-1"):
        logging.getLogger("x").warning("inside")
    structlog.get_logger().info("outside")

    inside, outside = parsed(written)
    assert inside["account"] == "paper-1"
    assert "account" not in outside


@pytest.mark.parametrize("format", ["text", "json"])
def test_no_secret_is_written_by_type_name_or_text(lines, format):
    written = lines(format=format, secrets=["c4n4ry-value", "c4n4ry", ""])
    log = structlog.get_logger()

    log.info("c4n4ry in the event", a=SecretStr("typed-x"), b=[SecretBytes(b"typed-x")], c={"d": "a c4n4ry-value here"})
    log.info(
        "named", password="named-x", api_key="named-x", nested={"sasl.Password": "named-x", "authToken": "named-x"}
    )
    logging.getLogger("x").error("stdlib %s", "c4n4ry")
    try:
        raise ConnectionError("login failed for c4n4ry")
    except ConnectionError:
        log.exception("broken")
        logging.getLogger("x").exception("broken")

    text = "\n".join(written())
    for hidden in ("c4n4ry", "typed-x", "named-x", "-value"):
        assert hidden not in text
    assert text.count("ConnectionError: login failed for **********") == 2
    assert "in the event" in text


@pytest.mark.parametrize("format", ["text", "json"])
def test_a_value_can_neither_forge_a_line_nor_steer_the_terminal(lines, format):
    written = lines(format=format)
    nasty = "a\nforged\r\x1b[2J\x9b\x7f\u2028\u202eb"

    structlog.get_logger().info(nasty, field=nasty, inner=[nasty])
    logging.getLogger("x").warning(nasty)

    text = "\n".join(written())
    assert len(written()) == 2
    assert not [char for char in text if char != "\n" and not char.isprintable()]
    assert "\\u001b[2J" in text


def test_only_a_traceback_spans_lines_and_they_are_indented(lines):
    written = lines(format="text")

    try:
        raise ValueError("one\n2024-01-02T00:00:00Z [info] forged \x1b")
    except ValueError:
        structlog.get_logger().exception("broken")

    first, *rest = written()
    assert "broken" in first
    assert any("forged" in line for line in rest)
    assert all(line.startswith("    ") for line in rest)
    assert "\x1b" not in "".join(rest)


def test_json_stays_json_whatever_is_logged(lines):
    written = lines(format="json")

    structlog.get_logger().info("odd", nan=float("nan"), inf=[float("-inf")], at=MOMENT, kind=Side.BUY, key={1: None})

    (line,) = written()
    odd = json.loads(line, parse_constant=pytest.fail)
    assert odd["nan"] == "nan"
    assert odd["kind"] == "BUY"
    assert odd["key"] == {"1": None}


def test_lines_below_the_level_are_left_out(lines):
    written = lines(level="warning")

    structlog.get_logger().info("quiet")
    logging.getLogger("x").info("quiet")
    structlog.get_logger().warning("loud")

    (line,) = written()
    assert "loud" in line
