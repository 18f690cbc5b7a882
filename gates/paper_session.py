"""Stage 7: a session on a paper account, held against a mock gateway and a backtest of the same bars."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from backtest.engine import run as replay
from backtest.run_record import RunRecord
from backtest.tables import Tables
from contracts.base import Message
from domain.go_live import Evidence
from gates.artifact import AnyArtifact, Check, PaperLog
from gates.context import Context, Source, check
from gates.live_planes import LivePlanes, bars_wanted, closing_command
from gates.mock_gateway import simulator
from gates.session_ending import Told, noted, told_to_end
from gates.session_measures import fill_rate, filled_orders, latencies, pacing, relative, sharpe_of
from gates.session_plan import NoPaperSession, SessionPlan
from gates.session_report import metrics_csv, report_html
from gates.timed_broker import MockOrders, TimedBroker
from ibkr_client.error_policy import SIMULATOR
from ibkr_client.witness import Witness, source_of
from kernel.clock import SystemClock, monotonic
from order_plane.brokers.ibkr import IbkrBroker
from order_plane.brokers.port import Broker
from order_plane.composition import build_simulation, build_stage, ibkr_broker
from order_plane.execution import Execution
from order_plane.settings import BrokerName, Mode, OrderSettings
from strategy_plane.composition import build_stage as build_strategy_stage

OPERATOR = "paper-session"


class Traded(NamedTuple):
    """What is known when a session has ended."""

    library: str
    begun_at: datetime
    seconds: float
    tables: Tables
    market: list[Message]
    own: dict[UUID, float]
    refused: set[UUID]
    mock: dict[UUID, float]
    heard: Counter[int]
    connects: int
    source: Source
    flat: bool
    problems: Sequence[str]


def run(context: Context, plan: SessionPlan, control_port: int | None = None) -> AnyArtifact:
    """Trade the strategy of the settings on the gateway that they name; with a control port on a stepped simulator.

    Whatever ends a session that has begun, a key included, it leaves its artifact, which says so and has not passed.

    Raises:
        NoPaperSession: when the settings are not those of a paper session.
        WrongAccount, BrokerUnavailable, LibraryMissing: as the broker says.
    """
    bars_wanted(context.data, on_paper(context.order), stepped=control_port is not None)
    folder = context.shelf.directory / f"session-{SystemClock().now():%Y%m%d-%H%M%S-%f}"
    folder.mkdir(parents=True)
    with (
        told_to_end() as told,
        simulator(*plan.mock_market, symbols=context.data.symbols) as (port, _),
        MockOrders(port, folder, plan.journey_ms / 1000) as mock,
    ):
        return _judged(context, plan, _trade(context, plan, folder, mock, control_port, told), told)


def _judged(context: Context, plan: SessionPlan, traded: Traded, told: Told) -> AnyArtifact:
    problems, backtest = list(traded.problems), RunRecord(context.strategy.initial_cash).tables()
    with noted(problems, "the backtest", told):
        backtest = _backtest(context, traded.market)
    found = _log(traded, plan, sharpe_of(backtest))
    checks = [
        check("nothing broke off", not problems, "every part went to its end", "; ".join(problems) or "none did"),
        long_enough(plan, traded.seconds),
        check(
            "trades",
            plan.fewest_trades <= found.filled_orders <= plan.most_trades,
            f"{plan.fewest_trades} to {plan.most_trades} orders that traded",
            found.filled_orders,
        ),
        check(
            "latency delta",
            found.latency_delta < plan.largest_latency_delta,
            f"median less than {plan.largest_latency_delta:.0%} above the mock's",
            f"{found.latency_delta:+.1%} ({found.latency.p50:.2f} ms against {found.mock_latency.p50:.2f} ms)",
        ),
        check("pacing violations", found.pacing_violations == 0, "0", found.pacing_violations),
        few_refused(plan, traded.own.keys(), traded.refused),
        check(
            "fill rate",
            found.fill_rate > plan.least_fill_rate,
            f"above {plan.least_fill_rate:.0%}",
            f"{found.fill_rate:.2%}",
        ),
        like_its_backtest(plan, found.sharpe_paper, found.sharpe_backtest),
        check("nothing is held at the end", traded.flat, "flat", "flat" if traded.flat else "positions are left"),
    ]
    subject = context.subject()
    documents = {
        "PAPER_TRADING_METRICS.csv": metrics_csv(traded.tables, traded.own, traded.mock, subject),
        "PAPER_TRADING_REPORT.html": report_html(found, checks, traded.tables, backtest, traded.source, subject),
    }
    return context.finish(7, checks, found, documents, traded.source)


def long_enough(plan: SessionPlan, seconds: float) -> Check:
    """Whether a session of so many ``seconds`` is one, and not a rehearsal that somebody cut short."""
    needed = max(plan.seconds, plan.least_seconds)
    return check("duration", seconds >= needed, f"at least {needed:g} s", f"{seconds:.1f} s")


def few_refused(plan: SessionPlan, taken: Set[UUID], refused: Set[UUID]) -> Check:
    """Whether the gateway refused only few of the orders that it was sent; one that it took may be refused later."""
    sent = len(taken | refused)
    passed = len(refused) <= plan.largest_refused_share * sent
    return check("refused orders", passed, f"at most {plan.largest_refused_share:.0%}", f"{len(refused)} of {sent}")


def like_its_backtest(plan: SessionPlan, paper: float | None, backtest: float | None) -> Check:
    """Whether a session's Sharpe ratio is near its backtest's; one that is missing or not above zero is no measure.

    A share of a loss would be asked of a session that lost: such a strategy does not go live on it.
    """
    share = plan.least_sharpe_share
    passed = paper is not None and backtest is not None and backtest > 0.0 and paper >= share * backtest
    ratio, other = ("none" if each is None else f"{each:.2f}" for each in (paper, backtest))
    required = f"at least {share:g} of the backtest's, which is above 0"
    return check("Sharpe", passed, required, f"{ratio}, the backtest {other}")


def on_paper(order: OrderSettings) -> OrderSettings:
    """The settings made to trade on paper, whatever they say; raises NoPaperSession when they name another broker.

    An account or a port of live trading is then refused by the broker itself.
    """
    if order.broker is not BrokerName.IBKR:
        raise NoPaperSession("a session needs order.broker: ibkr")
    return order.model_copy(update={"mode": Mode.PAPER})


@contextmanager
def trading_on(
    order: OrderSettings, folder: Path, around: Callable[[Broker], Broker] = lambda broker: broker
) -> Iterator[tuple[Execution, IbkrBroker]]:
    """An order plane with a journal in ``folder``, recovered, and its broker; it trades through ``around`` of that."""
    placed = on_paper(order).model_copy(
        update={
            "journal_path": folder / "journal.sqlite",
            "journal_database": None,
            "audit_key_path": None,
            "ibkr": order.ibkr.model_copy(update={"ids_path": folder / "order_ids.sqlite"}),
        }
    )
    broker = ibkr_broker(placed, os.environ)
    if not isinstance(broker, IbkrBroker):
        raise TypeError("this needs the broker of Interactive Brokers")
    stage = build_stage(placed, broker=around(broker))
    try:
        stage.recover()
        yield stage, broker
    finally:
        stage.close()


def market_time(seen: Witness) -> datetime:
    """The gateway's time."""
    return SystemClock().now() + timedelta(seconds=seen.clock_gap)


def _trade(
    context: Context, plan: SessionPlan, folder: Path, mock: MockOrders, control_port: int | None, told: Told
) -> Traded:
    record = RunRecord(context.strategy.initial_cash)
    own: dict[UUID, float] = {}
    refused: set[UUID] = set()
    around = partial(TimedBroker, mock=mock, seconds=own, refused=refused)
    problems: list[str] = []
    closing = ExitStack()
    trading, broker = closing.enter_context(trading_on(context.order, folder, around))
    try:
        first = broker.witness()
        deciding = build_strategy_stage(context.strategy)
        planes = LivePlanes(context.data, context.order, market_time(first), trading, (deciding,), record)
        begun_at, begun = SystemClock().now(), monotonic()
        last: Source = (Evidence.SIMULATED, ["the gateway could not be asked at the end who it is"])
        with noted(problems, "the session", told):
            if control_port is None:
                planes.run(plan.seconds, told.is_set)
            else:
                planes.step(control_port, plan.seconds, told.is_set)
        if told.is_set():
            problems.append("the session: it was told to end")
        seconds = monotonic() - begun if control_port is None else planes.stepped
        with noted(problems, "its closing", told):
            planes.tell(closing_command(OPERATOR, planes.newest))
            planes.run(plan.closing_seconds, lambda: _is_flat(trading))
        with noted(problems, "the last look at the gateway", told):
            last = source_of(broker.witness())
        heard = broker.heard + planes.source.heard
        connects = broker.connects + planes.source.connects
        with noted(problems, "the end of the bars", told):
            planes.close()
        flat = _is_flat(trading)
    finally:
        with noted(problems, "the end of the order plane", told):
            closing.close()
    source = _weaker(source_of(first), last, heard)
    return Traded(
        first.library, begun_at, seconds, record.tables(), planes.market, own, refused, mock.seconds, heard, connects,
        source, flat, problems,
    )  # fmt: skip


def _backtest(context: Context, market: list[Message]) -> Tables:
    """The same stages over the same bars, with the fills of the paper broker."""
    record = RunRecord(context.strategy.initial_cash)
    order = on_paper(context.order).model_copy(update={"broker": BrokerName.PAPER})
    replay([market], (build_simulation(order), build_strategy_stage(context.strategy)), (record,))
    return record.tables()


def _log(traded: Traded, plan: SessionPlan, sharpe_backtest: float | None) -> PaperLog:
    equity, orders = traded.tables.equity, traded.tables.orders
    times, worth = equity.column("timestamp").to_pylist(), equity.column("equity").to_pylist()
    statuses = orders.column("status").to_pylist()
    own, mock = latencies(traded.own), latencies(traded.mock)
    return PaperLog(
        client_library=traded.library,
        begun_at=traded.begun_at,
        seconds=round(traded.seconds, 3),
        planned_seconds=plan.seconds,
        market_from=times[0] if times else None,
        market_to=times[-1] if times else None,
        bars=sum(hasattr(each, "close") for each in traded.market),
        orders=len(statuses),
        filled_orders=filled_orders(orders),
        refused_orders=statuses.count("REJECTED"),
        refused_by_gateway=len(traded.refused),
        fill_rate=fill_rate(orders),
        pacing_violations=pacing(traded.heard),
        connects=traded.connects,
        latency=own,
        mock_latency=mock,
        latency_delta=relative(own.p50, mock.p50),
        sharpe_paper=sharpe_of(traded.tables),
        sharpe_backtest=sharpe_backtest,
        equity_first=worth[0] if worth else 0.0,
        equity_last=worth[-1] if worth else 0.0,
        flat_at_the_end=traded.flat,
        notices={str(code): count for code, count in sorted(traded.heard.items())},
    )


def _is_flat(trading: Execution) -> bool:
    desk = trading.desk
    return not (desk.open_orders or desk.in_doubt or any(desk.positions.values()))


def _weaker(first: Source, last: Source, heard: Counter[int]) -> Source:
    """The weaker of what was seen at the start and at the end, on the connections of orders and of bars."""
    if SIMULATOR in heard:
        return Evidence.SIMULATED, [*first[1], *(each for each in last[1] if each not in first[1])]
    return first if first[0] is Evidence.SIMULATED else last
