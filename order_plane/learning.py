"""The order plane as a stage that also learns what its executions cost; it says so and orders nothing."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from contracts.base import Message
from contracts.market import BarEvent
from contracts.trading import ExecutionCost, ExecutionReport, OrderIntent, Side
from kernel.ports import Handler, Stage
from order_plane.execution_costs import CostOfSymbol, ImpactFit

_REMEMBERED = 10_000
"""Intents that are remembered, open or finished; of older ones nothing more is learned."""


class CostLearner:
    """Folds bars, intents and reports into what trading each symbol costs.

    The arrival price of an intent is the close of the newest bar when it arrived; the volume that traded during
    an execution is that of the newest bar, which for the paper venue is the bar that filled it and elsewhere
    the nearest thing known.
    """

    def __init__(self, forgetting: float = 0.995) -> None:
        self._forgetting = forgetting
        self._bars: dict[str, tuple[float, float]] = {}
        self._arrivals: dict[UUID, tuple[float, int]] = {}  # price, and sequence of the newest report
        self._costs: dict[str, CostOfSymbol] = {}

    def saw(self, bar: BarEvent) -> None:
        """Take the bar's close and volume as the symbol's newest."""
        fields = bar.__dict__
        self._bars[fields["symbol"]] = (fields["close"], fields["volume"])

    def wished(self, intent: OrderIntent) -> None:
        """Note the price at which an intent arrived; repeats change nothing."""
        known = self._bars.get(intent.symbol)
        if known is not None:
            self._arrivals.setdefault(intent.intent_id, (known[0], 0))
            if len(self._arrivals) > _REMEMBERED:
                del self._arrivals[next(iter(self._arrivals))]

    def heard(self, report: ExecutionReport) -> ExecutionCost | None:
        """Learn from an execution and say what is known now; None when it is none, or was heard before."""
        arrival, newest = self._arrivals.get(report.intent_id, (0.0, report.sequence))
        if report.sequence <= newest:
            return None
        self._arrivals[report.intent_id] = (arrival, report.sequence)
        if not report.last_quantity or report.last_price is None or report.direction is None:
            return None
        worse = report.last_price - arrival if report.direction is Side.BUY else arrival - report.last_price
        cost = self._costs.get(report.symbol)
        if cost is None:
            cost = self._costs[report.symbol] = CostOfSymbol(ImpactFit(self._forgetting))
        cost.learn(report.last_quantity, self._bars[report.symbol][1], worse / arrival)
        return _said(report, cost)


class Learning:
    """A stage around the order plane's: everything passes through it unchanged, and estimates are added."""

    def __init__(self, stage: Stage, learner: CostLearner) -> None:
        self._stage = stage
        self._learner = learner
        self._handlers = dict(stage.handlers)
        self._handle_bar, self._handle_intent = self._handlers[BarEvent], self._handlers[OrderIntent]
        self._handlers[BarEvent] = self._on_bar
        self._handlers[OrderIntent] = self._on_intent

    @property
    def handlers(self) -> Mapping[type[Message], Handler]:
        """What the order plane listens to."""
        return self._handlers

    def settle(self) -> Sequence[Message]:
        """What the order plane says, and what its executions teach."""
        said = self._stage.settle()
        if not said:
            return said
        heard = (self._learner.heard(each) for each in said if isinstance(each, ExecutionReport))
        return [*said, *(each for each in heard if each is not None)]

    def restore(self, message: Message) -> None:
        """Learn again what was learned before a restart, and let the order plane restore."""
        if isinstance(message, BarEvent):
            self._learner.saw(message)
        elif isinstance(message, OrderIntent):
            self._learner.wished(message)
        elif isinstance(message, ExecutionReport):
            self._learner.heard(message)
        self._stage.restore(message)

    def _on_bar(self, bar: BarEvent) -> Iterable[Message]:
        self._learner.saw(bar)
        return self._handle_bar(bar)

    def _on_intent(self, intent: OrderIntent) -> Iterable[Message]:
        self._learner.wished(intent)
        return self._handle_intent(intent)


def _said(report: ExecutionReport, cost: CostOfSymbol) -> ExecutionCost:
    fit = cost.fit
    return ExecutionCost(
        symbol=report.symbol,
        timestamp=report.timestamp,
        slippage=_bounded(cost.slippage),
        fixed=_bounded(fit.fixed),
        impact=_bounded(fit.impact),
        impact_error=None if fit.impact_error is None else _bounded(fit.impact_error),
        observations=fit.observations,
    )


def _bounded(fraction: float) -> float:
    """A wild estimate as large as the contract lets it be; a reader sees its error beside it."""
    return max(-1e6, min(1e6, fraction))
