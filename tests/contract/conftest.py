"""Valid messages of every contract, as one sample and as generated ones."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import strategies as st

from contracts.codec import MESSAGE_TYPES

Wire = dict[str, Any]

INTENT = "3f2504e0-4f89-5d1a-9a0c-0305e82c3301"
MOMENT = "2024-01-02T21:00:00Z"
SAMPLES: Mapping[str, Wire] = {
    "bar_event": {
        "symbol": "AAPL",
        "timestamp": MOMENT,
        "open": 187.15,
        "high": 188.44,
        "low": 183.885,
        "close": 185.64,
        "volume": 82488674.0,
        "bar_size": "1d",
    },
    "tick_event": {"symbol": "MSFT", "timestamp": MOMENT, "price": 370.6, "size": 100.0, "tick_type": "TRADE"},
    "ofi_event": {
        "symbol": "IBM",
        "timestamp": MOMENT,
        "ofi_value": -120.5,
        "volume_imbalance": -0.25,
        "bid_volume": 300.0,
        "ask_volume": 500.0,
    },
    "fact_event": {
        "table": "earnings",
        "symbol": "IBM",
        "timestamp": "2024-01-24T21:05:00Z",
        "event_time": "2023-12-31T00:00:00Z",
        "values": {"eps": 3.87, "revenue": 17381.0},
    },
    "slice_event": {"timestamp": MOMENT, "bar_size": "1d", "symbols": ["AAPL", "IBM"], "missing": ["MSFT"]},
    "order_intent": {
        "intent_id": INTENT,
        "symbol": "AAPL",
        "direction": "BUY",
        "quantity": 100.0,
        "order_type": "STOP_LIMIT",
        "limit_price": 187.5,
        "stop_price": 187.0,
        "timestamp": MOMENT,
        "strategy_id": "momentum",
        "time_in_force": "GTD",
        "valid_until": "2024-01-03T21:00:00Z",
        "plan_id": "9b2d7c1e-0a55-5f0e-8d3b-6f2f0d4a1c77",
    },
    "execution_report": {
        "intent_id": INTENT,
        "order_id": "paper-1",
        "symbol": "AAPL",
        "status": "REJECTED",
        "filled_quantity": 40.0,
        "avg_fill_price": 187.25,
        "timestamp": MOMENT,
        "reject_reason": "the rest exceeds the position limit",
        "report_id": "9b2d7c1e-0a55-5f0e-8d3b-6f2f0d4a1c78",
        "sequence": 3,
        "direction": "BUY",
        "last_quantity": 10.0,
        "last_price": 187.3,
        "commission": 1.0,
        "strategy_id": "momentum",
        "journal_id": "3f2a",
        "journal_seq": 12,
    },
    "journal_claim": {
        "timestamp": MOMENT,
        "journal_id": "3f2a",
        "account": "PAPER",
        "host": "trading-1",
        "place": "/var/lib/algotrade/order_journal.sqlite",
        "succeeds": {"journal_id": "17bc", "operator": "ann", "reason": "its host burnt down"},
        "intents_from": 1201,
    },
    "intents_handed_over": {"timestamp": MOMENT, "journal_id": "3f2a", "predecessor": "17bc"},
    "execution_cost": {
        "symbol": "AAPL",
        "timestamp": MOMENT,
        "slippage": 0.0003,
        "fixed": 0.0001,
        "impact": 0.05,
        "impact_error": 0.01,
        "observations": 40,
    },
    "kill_switch_command": {
        "command_id": INTENT,
        "timestamp": MOMENT,
        "engage": True,
        "scope": "STRATEGY",
        "target": "momentum",
        "operator": "j.doe",
        "reason": "data feed in doubt",
    },
    "risk_alert": {
        "timestamp": MOMENT,
        "severity": "CRITICAL",
        "code": "GROSS_EXPOSURE",
        "detail": "gross exposure above its limit",
        "symbol": "AAPL",
    },
    "heartbeat": {
        "timestamp": MOMENT,
        "plane": "strategy",
        "instance": "host-1",
        "positions": {"market_events/0": 12, "market_events/1": 7},
        "ends": {"order_intents/0": 3},
    },
    "run_marker": {"timestamp": MOMENT, "run_id": "r1", "state": "FINISHED", "published": 8, "quarantined": 1},
    "portfolio_state": {
        "timestamp": MOMENT,
        "strategy_id": "momentum",
        "cash": -12.5,
        "equity": 100_000.0,
        "positions": {"AAPL": 100.0, "MSFT": -3.5},
    },
    "rebalance_plan": {
        "plan_id": INTENT,
        "strategy_id": "momentum",
        "timestamp": MOMENT,
        "valid_until": "2024-01-03T21:00:00Z",
        "trades": [
            {
                "symbol": "AAPL",
                "direction": "SELL",
                "quantity": 5.0,
                "current_weight": 0.3,
                "target_weight": 0.2,
                "reference_price": 187.5,
            },
        ],
        "content_hash": "0123456789abcdef" * 4,
        "requires_approval": False,
        "equity": 100_000.0,
        "reasons": ["the month of 2024-01 began"],
        "checks": [{"name": "TURNOVER", "passed": True, "detail": "0.1 of at most 0.5"}],
        "skipped": [{"symbol": "MSFT", "reason": "NO_PRICE", "detail": "no bar at this moment"}],
        "current_weights": {"AAPL": 0.3},
        "target_weights": {"AAPL": 0.2, "MSFT": 0.1},
    },
    "plan_progress": {
        "plan_id": INTENT,
        "strategy_id": "momentum",
        "timestamp": MOMENT,
        "state": "BUYING",
        "trades": [
            {
                "symbol": "AAPL",
                "direction": "BUY",
                "state": "ORDERED",
                "planned": 5.0,
                "ordered": 3.0,
                "filled": 1.0,
                "reason": "cash allows 3 units",
            },
        ],
        "weights": {"AAPL": 0.3},
    },
    "plan_decision": {
        "plan_id": INTENT,
        "strategy_id": "momentum",
        "timestamp": MOMENT,
        "verdict": "APPROVED",
        "operator": "j.doe",
        "reason": "within the mandate",
        "content_hash": "0123456789abcdef" * 4,
    },
}

_printable = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
_symbols = st.text(_printable, min_size=1, max_size=32)
_names = st.text(_printable, min_size=1, max_size=64)
_texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=512)
_columns = st.from_regex(r"[a-z][a-z0-9_]{0,63}", fullmatch=True)
_ids = st.uuids().map(str)
_prices = st.floats(1e-10, 1e12)
_quantities = st.floats(0, 1e15, exclude_min=True)
_volumes = st.floats(0, 1e15)
_money = st.floats(-1e15, 1e15)
_counts = st.integers(0, 2**63 - 1)
_cost = st.floats(-1e6, 1e6)
_bar_sizes = st.from_regex(r"[1-9][0-9]{0,3}(s|min|h|d)", fullmatch=True)
_hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
_weights = st.dictionaries(_symbols, st.floats(-100, 100), max_size=3)
_offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_moments = st.datetimes(datetime(1700, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC) | _offsets)  # noqa: DTZ001


def _spelled(moment: datetime) -> st.SearchStrategy[str]:
    text = moment.isoformat()
    return st.sampled_from([text, text.replace("+00:00", "Z"), text.replace("+00:00", "-00:00")])


_timestamps = _moments.flatmap(_spelled)
_spans = st.tuples(_moments, st.timedeltas(timedelta(seconds=1), timedelta(days=365)))


def _bars() -> st.SearchStrategy[Wire]:
    def ordered(prices: list[float], swap: bool) -> Wire:
        low, first, second, high = sorted(prices)
        opened, closed = (second, first) if swap else (first, second)
        return {"open": opened, "high": high, "low": low, "close": closed}

    ranges = st.builds(ordered, st.lists(_prices, min_size=4, max_size=4), st.booleans())
    rest = st.fixed_dictionaries(
        {"symbol": _symbols, "timestamp": _timestamps, "volume": _volumes}, optional={"bar_size": _bar_sizes}
    )
    return st.builds(lambda facts, prices: {**facts, **prices}, rest, ranges)


def _intents() -> st.SearchStrategy[Wire]:
    def of_type(order_type: str) -> st.SearchStrategy[Wire]:
        prices = {
            "limit_price": _prices if "LIMIT" in order_type else st.none() | _prices,
            "stop_price": _prices if "STOP" in order_type else st.none() | _prices,
        }
        needed = {name for name in prices if name.removesuffix("_price").upper() in order_type}
        return st.fixed_dictionaries(
            {
                "intent_id": _ids,
                "symbol": _symbols,
                "direction": st.sampled_from(["BUY", "SELL"]),
                "quantity": _quantities,
                "order_type": st.just(order_type),
                "timestamp": _timestamps,
                **{name: prices[name] for name in sorted(needed)},
            },
            optional={
                "strategy_id": _names,
                "time_in_force": st.sampled_from(["DAY", "GTC", "IOC", "FOK", "GTD"]),
                "valid_until": st.none() | _timestamps,
                "plan_id": st.none() | _ids,
                **{name: prices[name] for name in sorted(prices.keys() - needed)},
            },
        )

    return st.sampled_from(["MARKET", "LIMIT", "STOP", "STOP_LIMIT", "ADAPTIVE"]).flatmap(of_type)


def _reports() -> st.SearchStrategy[Wire]:
    statuses = ["SUBMITTED", "ACKNOWLEDGED", "PARTIAL_FILL", "FILLED", "CANCELED", "REJECTED", "EXPIRED", "IN_DOUBT"]

    def of_status(status: str, filled: bool) -> st.SearchStrategy[Wire]:
        needed = {"reject_reason": _texts} if status == "REJECTED" else {}
        needed |= (
            {"filled_quantity": _quantities, "avg_fill_price": _prices} if filled else {"filled_quantity": st.just(0)}
        )
        optional = {
            "avg_fill_price": st.none() | _prices,
            "reject_reason": st.none() | _texts,
            "report_id": st.none() | _ids,
            "sequence": st.integers(1, 1_000_000),
            "direction": st.sampled_from([None, "BUY", "SELL"]),
            "last_quantity": _volumes,
            "last_price": st.none() | _prices,
            "commission": _money,
            "strategy_id": _names,
            "journal_id": st.none() | _names,
            "journal_seq": st.none() | _counts,
        }
        always = {"intent_id": _ids, "order_id": _names, "symbol": _symbols, "status": st.just(status)}
        return st.fixed_dictionaries(
            {**always, "timestamp": _timestamps, **needed},
            optional={name: values for name, values in optional.items() if name not in needed},
        )

    return st.tuples(st.sampled_from(statuses), st.booleans()).flatmap(lambda drawn: of_status(*drawn))


def _plans() -> st.SearchStrategy[Wire]:
    trades = st.fixed_dictionaries(
        {
            "symbol": _symbols,
            "direction": st.sampled_from(["BUY", "SELL"]),
            "quantity": _quantities,
            "current_weight": st.floats(-100, 100),
            "target_weight": st.floats(-100, 100),
            "reference_price": st.none() | _prices,
        }
    )
    checks = st.fixed_dictionaries({"name": _names, "passed": st.booleans(), "detail": _texts})
    skipped = st.fixed_dictionaries({"symbol": _symbols, "reason": _names, "detail": _texts})
    rest = st.fixed_dictionaries(
        {"plan_id": _ids, "strategy_id": _names, "trades": st.lists(trades, max_size=3), "content_hash": _hashes},
        optional={
            "requires_approval": st.booleans(),
            "equity": st.none() | _money,
            "reasons": st.lists(_texts, max_size=2),
            "checks": st.lists(checks, max_size=2),
            "skipped": st.lists(skipped, max_size=2),
            "current_weights": _weights,
            "target_weights": _weights,
        },
    )
    return st.builds(
        lambda facts, span: {
            **facts,
            "timestamp": span[0].isoformat(),
            "valid_until": (span[0] + span[1]).isoformat(),
        },
        rest,
        _spans.filter(lambda span: (span[0] + span[1]).year < 2200),
    )


def _fields(optional: Mapping[str, Any] | None = None, **needed: Any) -> st.SearchStrategy[Wire]:
    return st.fixed_dictionaries(needed, optional=dict(optional or {}))


_PARTITIONS = st.dictionaries(st.text(_printable, min_size=1, max_size=300), _counts, max_size=3)
_GENERATED: Mapping[str, st.SearchStrategy[Wire]] = {
    "bar_event": _bars(),
    "tick_event": _fields(
        symbol=_symbols,
        timestamp=_timestamps,
        price=_prices,
        size=_volumes,
        tick_type=st.sampled_from(["TRADE", "BID", "ASK", "LAST"]),
    ),
    "ofi_event": _fields(
        symbol=_symbols,
        timestamp=_timestamps,
        ofi_value=_money,
        volume_imbalance=st.floats(-1, 1),
        bid_volume=_volumes,
        ask_volume=_volumes,
    ),
    "fact_event": _fields(
        table=_columns,
        symbol=_symbols,
        timestamp=_timestamps,
        event_time=_timestamps,
        values=st.dictionaries(_columns, _money, min_size=1, max_size=3),
    ),
    "slice_event": _fields(
        {"missing": st.lists(_symbols, max_size=3), "late": st.booleans()},
        timestamp=_timestamps,
        bar_size=_bar_sizes,
        symbols=st.lists(_symbols, max_size=3),
    ),
    "order_intent": _intents(),
    "execution_report": _reports(),
    "journal_claim": _fields(
        {
            "succeeds": st.none() | st.fixed_dictionaries({"journal_id": _names, "operator": _names, "reason": _texts}),
            "intents_from": st.none() | _counts,
        },
        timestamp=_timestamps,
        journal_id=_names,
        account=_names,
        host=_names,
        place=_texts,
    ),
    "intents_handed_over": _fields(timestamp=_timestamps, journal_id=_names, predecessor=_names),
    "kill_switch_command": _fields(
        {"scope": st.sampled_from(["GLOBAL", "ACCOUNT", "STRATEGY"]), "target": _names},
        command_id=_ids,
        timestamp=_timestamps,
        engage=st.booleans(),
        operator=_names,
        reason=_texts,
    ),
    "execution_cost": _fields(
        {"impact_error": st.none() | st.floats(0, 1e6)},
        symbol=_symbols,
        timestamp=_timestamps,
        slippage=_cost,
        fixed=_cost,
        impact=_cost,
        observations=_counts,
    ),
    "risk_alert": _fields(
        {"symbol": st.none() | _symbols},
        timestamp=_timestamps,
        severity=st.sampled_from(["WARNING", "CRITICAL"]),
        code=_names,
        detail=_texts,
    ),
    "heartbeat": _fields(
        timestamp=_timestamps,
        plane=st.sampled_from(["data", "strategy", "order"]),
        instance=_names,
        positions=_PARTITIONS,
        ends=_PARTITIONS,
    ),
    "run_marker": _fields(
        {"published": _counts, "quarantined": _counts},
        timestamp=_timestamps,
        run_id=_names,
        state=st.sampled_from(["STARTED", "FINISHED", "FAILED"]),
    ),
    "portfolio_state": _fields(
        timestamp=_timestamps,
        strategy_id=_names,
        cash=_money,
        equity=_money,
        positions=st.dictionaries(_symbols, _money, max_size=3),
    ),
    "rebalance_plan": _plans(),
    "plan_progress": _fields(
        {"weights": _weights},
        plan_id=_ids,
        strategy_id=_names,
        timestamp=_timestamps,
        state=st.sampled_from(["SELLING", "BUYING", "COMPLETED", "REFUSED", "EXPIRED", "SUPERSEDED"]),
        trades=st.lists(
            st.fixed_dictionaries(
                {
                    "symbol": _symbols,
                    "direction": st.sampled_from(["BUY", "SELL"]),
                    "state": st.sampled_from(["PLANNED", "ORDERED", "FILLED", "PARTIAL", "UNFILLED", "SKIPPED"]),
                    "planned": _quantities,
                    "ordered": _volumes,
                    "filled": _volumes,
                    "reason": st.none() | _texts,
                }
            ),
            max_size=3,
        ),
    ),
    "plan_decision": _fields(
        plan_id=_ids,
        strategy_id=_names,
        timestamp=_timestamps,
        verdict=st.sampled_from(["APPROVED", "REFUSED"]),
        operator=_names,
        reason=_texts,
        content_hash=_hashes,
    ),
}


@pytest.fixture(scope="session")
def samples() -> Mapping[str, Wire]:
    """One valid message of each contract, every field given, as it stands on the wire."""
    return {event_type: {"event_type": event_type, **fields} for event_type, fields in SAMPLES.items()}


@pytest.fixture(scope="session")
def generated() -> Mapping[str, st.SearchStrategy[Wire]]:
    """Valid messages of each contract as they may stand on the wire."""
    return {
        event_type: fields.map(lambda rest, event_type=event_type: {"event_type": event_type, **rest})
        for event_type, fields in _GENERATED.items()
    }


@pytest.fixture(scope="session", params=sorted(MESSAGE_TYPES))
def event_type(request: pytest.FixtureRequest) -> str:
    """Each contract in turn."""
    return str(request.param)
