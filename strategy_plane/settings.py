"""Everything about the strategy plane that a person may choose."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from contracts.base import Currency, Name, Symbol
from contracts.market import BarSize
from contracts.trading import OrderType, TimeInForce
from domain.currency import Currencies, currencies_of
from domain.spelling import meant
from strategy_plane.engines.settings import PositionRiskSettings, RebalancingSettings, VolatilityTargetSettings
from strategy_plane.limit_settings import (
    BoundSettings,
    EnsembleLimitSettings,
    Fraction,
    LimitSettings,
)
from strategy_plane.optimizers.settings import (
    BlackLittermanSettings,
    CostSettings,
    FactorRiskSettings,
    MeanVarianceSettings,
    OptimizerSettings,
    RiskSettings,
)
from strategy_plane.signal_settings import (
    OwnCode,
    RegimeSettings,
    SignalName,
    SignalSettings,
    TrustSettings,
    six_families,
)
from strategy_plane.signals.technical import Standardisation

_OPTIMIZERS = (
    "how weights are chosen: mean_variance, black_litterman, minimum_variance, inverse_volatility, equal_weight, "
    "risk_parity or hierarchical_risk_parity"
)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MovingAverageCrossSettings(_Section):
    """Fixed units while the fast mean of closes is above the slow one."""

    name: Literal["moving_average_cross", "ma_crossover"] = "moving_average_cross"
    fast: Annotated[int, Field(ge=1, description="bars in the fast mean")] = 20
    slow: Annotated[int, Field(ge=2, description="bars in the slow mean")] = 50
    units: Annotated[float, Field(gt=0, le=1e12, description="units held per symbol")] = 100.0
    allow_short: Annotated[bool, Field(description="short the same units while the fast mean is not above")] = False
    bounds: BoundSettings = BoundSettings()

    @model_validator(mode="after")
    def _fast_is_faster(self) -> Self:
        if self.fast >= self.slow:
            raise ValueError("fast must be below slow")
        return self


class MomentumSettings(_Section):
    """The momentum score."""

    lookback: Annotated[int, Field(ge=2, description="bars back to the start of the measured return")] = 252
    skip: Annotated[int, Field(ge=0, description="newest bars left out of it")] = 21
    standardisation: Annotated[Standardisation, Field(description="what the return is compared with")] = (
        Standardisation.CROSS_SECTION
    )
    limit: Annotated[float, Field(gt=0, description="scores beyond this are cut to it")] = 3.0

    @model_validator(mode="after")
    def _something_is_measured(self) -> Self:
        if self.skip >= self.lookback - 1:
            raise ValueError("skip must be below lookback - 1")
        return self


class MomentumMeanVarianceSettings(_Section):
    """Momentum turned into expected returns and traded at mean-variance weights."""

    name: Literal["momentum_mean_variance"] = "momentum_mean_variance"
    signal: MomentumSettings = MomentumSettings()
    limits: LimitSettings = LimitSettings()
    optimizer: Annotated[OptimizerSettings, Field(description=_OPTIMIZERS)] = MeanVarianceSettings(risk_aversion=2.0)
    risk: Annotated[RiskSettings, Field(description="estimate of risk: factor, sample, ewma or ledoit_wolf")] = (
        FactorRiskSettings()
    )
    costs: Annotated[
        CostSettings | None, Field(description="what trades are expected to cost; none takes them as free")
    ] = None
    information_coefficient: Annotated[
        float, Field(ge=0, le=1, description="expected correlation of score and return; 0.1 is optimistic")
    ] = 0.1
    periods_per_year: Annotated[float, Field(gt=0, description="bars in a year")] = 252.0
    risk_window: Annotated[int, Field(ge=2, description="returns the covariance is estimated from")] = 252
    rebalance_every: Annotated[int, Field(ge=1, description="slices between two rebalances")] = 21
    max_missing: Annotated[float, Field(ge=0, lt=1, description="share of missing returns a symbol may have")] = 0.05


class MomentumHoldingsSettings(_Section):
    """The winners of the past in equal parts."""

    name: Literal["momentum"] = "momentum"
    signal: MomentumSettings = MomentumSettings()
    winners: Annotated[int, Field(ge=1, description="symbols held")] = 2
    losers: Annotated[int, Field(ge=0, description="symbols sold short")] = 0
    exposure: Annotated[Fraction, Field(description="the long side, and the short side if there is one")] = 1.0
    rebalance_every: Annotated[int, Field(ge=1, description="slices between two rebalances")] = 21
    bounds: BoundSettings = BoundSettings()

    @property
    def gross(self) -> float:
        """The sum of absolute weights that exposure asks for."""
        return self.exposure * (2.0 if self.losers else 1.0)

    @model_validator(mode="after")
    def _is_allowed_what_it_aims_at(self) -> Self:
        if self.bounds.gross is not None and self.bounds.gross < self.gross:
            raise ValueError(
                f"bounds.gross is below the {self.gross:g} that exposure asks for; lower that, or raise it"
            )
        return self


class DualMomentumSettings(_Section):
    """Each month the best of each market that have gained at all."""

    name: Literal["dual_momentum"] = "dual_momentum"
    markets: Annotated[dict[Name, tuple[Symbol, ...]], Field(min_length=1, description="symbols by market")]
    lookback: Annotated[int, Field(ge=1, description="bars of the measured return; 63 days are three months")] = 63
    per_market: Annotated[int, Field(ge=1, description="symbols chosen in each market")] = 1
    hurdle: Annotated[float, Field(ge=-1, description="simple return that a symbol must exceed")] = 0.0
    cap: Annotated[Fraction, Field(description="largest weight of a symbol")] = 0.3
    market_cap: Annotated[Fraction, Field(description="largest weight of a market")] = 0.5
    bounds: BoundSettings = BoundSettings()


class SignalEnsembleSettings(_Section):
    """Several signals, weighted by what they have shown, within the limits of the regime."""

    name: Literal["signal_ensemble"] = "signal_ensemble"
    signals: Annotated[dict[SignalName, SignalSettings], Field(min_length=1, description="signals by name")] = (
        six_families()
    )
    trust: TrustSettings = TrustSettings()
    regime: RegimeSettings = RegimeSettings()
    limits: EnsembleLimitSettings = EnsembleLimitSettings()
    optimizer: Annotated[OptimizerSettings, Field(description=_OPTIMIZERS)] = MeanVarianceSettings(risk_aversion=4.0)
    risk: Annotated[RiskSettings, Field(description="estimate of risk: factor, sample, ewma or ledoit_wolf")] = (
        FactorRiskSettings()
    )
    costs: Annotated[
        CostSettings | None, Field(description="what trades are expected to cost; none takes them as free")
    ] = None
    periods_per_year: Annotated[float, Field(gt=0, description="bars in a year")] = 252.0
    horizon: Annotated[int, Field(ge=1, description="bars ahead that scores are to foretell")] = 21
    score_every: Annotated[int, Field(ge=1, description="slices between two scores that are kept")] = 5
    rebalance_every: Annotated[int, Field(ge=1, description="slices between two rebalances")] = 21
    risk_window: Annotated[int, Field(ge=2, description="returns the covariance is estimated from")] = 252
    max_missing: Annotated[float, Field(ge=0, lt=1, description="share of missing returns a symbol may have")] = 0.05


class OwnStrategySettings(_Section):
    """A strategy of your own: a class or function in a file of yours."""

    name: Literal["own"] = "own"
    factory: OwnCode
    parameters: Annotated[dict[str, JsonValue], Field(description="its keyword arguments")] = {}
    bars: Annotated[int, Field(ge=1, le=100_000, description="moments that a function looks back on")] = 252
    period: Annotated[int, Field(ge=1, description="slices between two questions to a function")] = 1
    long_only: Annotated[bool, Field(description="what it wants to sell short is left out")] = False
    bounds: BoundSettings = BoundSettings()


ChosenStrategy = (
    MovingAverageCrossSettings
    | MomentumMeanVarianceSettings
    | MomentumHoldingsSettings
    | DualMomentumSettings
    | SignalEnsembleSettings
    | OwnStrategySettings
)


class StrategySettings(_Section):
    """One strategy with its money, universe and manner of trading."""

    strategy_id: Annotated[Name, Field(description="names the strategy's intents and reports")] = "default"
    strategy: Annotated[
        ChosenStrategy,
        Field(discriminator="name", description="which strategy, and its parameters"),
    ] = MomentumMeanVarianceSettings()
    initial_cash: Annotated[float, Field(gt=0, le=1e15, description="account currency")] = 1_000_000.0
    bar_size: Annotated[BarSize, Field(description="the only bars the strategy sees")] = "1d"
    universe: Annotated[tuple[Symbol, ...], Field(description="symbols it may see and trade; empty for all")] = ()
    lot: Annotated[float, Field(gt=0, description="smallest tradable quantity, units")] = 1.0
    cash_buffer: Annotated[
        float, Field(ge=0, lt=1, description="fraction of equity that weights leave uninvested, and plans keep as cash")
    ] = 0.0
    currency: Annotated[Currency, Field(description="of the account, ISO 4217")] = "USD"
    currencies: Annotated[
        dict[Symbol, Currency],
        Field(description="of symbols quoted in another one; needs bars of a pair such as USDKRW"),
    ] = {}
    min_trade_value: Annotated[float, Field(ge=0, description="smaller changes are left alone, currency")] = 0.0
    no_trade_band: Annotated[Fraction, Field(description="smaller changes are left alone, of equity")] = 0.0
    order_type: Annotated[Literal[OrderType.MARKET, OrderType.LIMIT], Field(description="how to trade")] = (
        OrderType.MARKET
    )
    limit_offset_bps: Annotated[
        float, Field(ge=-5000, le=5000, description="how much better than the close a LIMIT asks for")
    ] = 0.0
    time_in_force: Annotated[TimeInForce, Field(description="how long an order may work")] = TimeInForce.DAY
    valid_for: Annotated[
        timedelta, Field(gt=timedelta(0), le=timedelta(days=366), description="after this an unsent intent is void")
    ] = timedelta(days=5)
    rebalancing: Annotated[
        RebalancingSettings | None, Field(description="trade by plans, on a calendar, instead of at every decision")
    ] = None
    volatility_target: Annotated[
        VolatilityTargetSettings | None, Field(description="scale weights to a volatility; none leaves them")
    ] = None
    position_risk: Annotated[
        PositionRiskSettings | None, Field(description="cut positions to what their true range allows; none does not")
    ] = None
    publish_portfolio: Annotated[bool, Field(description="publish positions and equity at every slice")] = False

    @model_validator(mode="after")
    def _names_what_is_traded(self) -> Self:
        wrong = self.strangers(self.universe) if self.universe else []
        if wrong:
            raise ValueError(f"names symbols that are not in its universe: {'; '.join(wrong)}")
        return self

    def strangers(self, traded: Iterable[str]) -> list[str]:
        """Symbols that the strategy names and that are not ``traded``, with where each is named."""
        known, chosen = set(traded) - self.quoted.pairs, self.strategy
        named: list[tuple[str, Iterable[str]]] = []
        if isinstance(chosen, DualMomentumSettings):
            named += [(f"markets.{name}", symbols) for name, symbols in chosen.markets.items()]
        limits, optimizer = getattr(chosen, "limits", None), getattr(chosen, "optimizer", None)
        if isinstance(limits, LimitSettings):
            named += [(f"limits.groups.{name}.symbols", group.symbols) for name, group in limits.groups.items()]
        said = [
            f"{symbol} in strategy.strategy.{field} ({meant(symbol, known)})"
            for field, symbols in named
            for symbol in symbols
            if symbol not in known
        ]
        return said + (optimizer.strangers(known) if isinstance(optimizer, BlackLittermanSettings) else [])

    @property
    def traded(self) -> Callable[[str], bool]:
        """Whether a symbol is one the strategy may trade: of its universe, and no exchange rate."""
        universe, pairs = frozenset(self.universe), self.quoted.pairs
        return lambda symbol: symbol not in pairs and (not universe or symbol in universe)

    @property
    def quoted(self) -> Currencies:
        """What the symbols are quoted in."""
        return currencies_of(self.currency, self.currencies)
