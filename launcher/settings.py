"""All settings of a run in one place, one section for each part."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data_plane.settings import DataSettings
from kernel.kafka_settings import KafkaSettings
from kernel.settings import load
from launcher.agreement import disagreements
from order_plane.settings import BrokerName, Mode, OrderSettings
from strategy_plane.settings import StrategySettings
from strategy_plane.validation.settings import ValidationSettings

Port = Annotated[int, Field(ge=0, le=65535)]


class HealthSettings(BaseModel):
    """Where each plane serves /health, /ready and /metrics; port 0 takes a free one and logs it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    data_port: Port = 0
    strategy_port: Port = 0
    order_port: Port = 0


class RunSettings(BaseModel):
    """How the processes of a run behave, whatever they trade."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    directory: Path = Path("runs")
    """Each run gets a directory of its own in here."""
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    heartbeat_seconds: Annotated[float, Field(ge=0, le=60)] = 0.1
    """Least time between heartbeats; 0 reports every batch, which lock-step needs."""
    record: bool = False
    """Write every input of every stage to the run directory, to be replayed."""
    health: HealthSettings = HealthSettings()


class Settings(BaseModel):
    """The whole configuration: one YAML file, overridden by ``ALGOTRADE_SECTION__FIELD`` variables."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: RunSettings = RunSettings()
    kafka: KafkaSettings = KafkaSettings()
    data: DataSettings
    strategy: StrategySettings
    order: OrderSettings
    validation: ValidationSettings = ValidationSettings()

    @model_validator(mode="after")
    def _currencies_agree(self) -> Self:
        decided, traded = self.strategy.quoted, self.order.currencies
        wrong = {name for name, one in decided.of.items() if traded.of.get(name) != one}
        if decided.account != traded.account or wrong:
            raise ValueError(
                "strategy and order must agree on currency, and on that of each symbol: strategy.currencies on one "
                f"side, order.instruments on the other; look at {', '.join(sorted(wrong)) or 'currency'}"
            )
        return self

    @model_validator(mode="after")
    def _client_ids_differ(self) -> Self:
        bars, orders = self.data.ibkr, self.order.ibkr
        if bars is None or self.order.broker is not BrokerName.IBKR:
            return self
        if (bars.host, bars.port, bars.client_id) == (orders.host, orders.port, orders.client_id):
            raise ValueError("data.ibkr.client_id and order.ibkr.client_id must differ: each connection needs its own")
        return self

    @model_validator(mode="after")
    def _live_trading_has_live_quotes(self) -> Self:
        if self.order.mode is Mode.LIVE and self.data.ibkr is not None and self.data.ibkr.delayed:
            raise ValueError("data.ibkr.delayed is for development: leave it out, or set order.mode to paper")
        return self

    @model_validator(mode="after")
    def _strategy_asks_for_what_is_told(self) -> Self:
        wrong = disagreements(self.data, self.strategy)
        if wrong:
            raise ValueError(f"do not agree: {'; '.join(wrong)}")
        return self


def load_settings(
    path: Path | None,
    environ: Mapping[str, str],
    secrets_dir: Path | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """Read and check the configuration.

    Raises:
        ConfigurationError: with every problem at once, each naming the field and the fix.
    """
    return load(Settings, path, environ, secrets_dir, overrides)
