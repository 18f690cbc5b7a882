"""A configuration whose parts cannot work together is refused at once, with the field and the fix."""

from pathlib import Path

import pytest
import yaml

from kernel.settings import ConfigurationError
from launcher.settings import Settings, load_settings

ROOT = Path(__file__).parents[3]
SHIPPED = sorted((ROOT / "config").glob("*.yaml"))
CHOSEN = "strategy.strategy"


def loaded(directory: Path, changes: dict[str, object]) -> Settings:
    """The shipped ensemble with ``changes`` by dotted name."""
    config = yaml.safe_load((ROOT / "config" / "signal_ensemble.yaml").read_text())
    for name, value in changes.items():
        *path, last = name.split(".")
        place = config
        for step in path:
            place = place.setdefault(step, {})
        place[last] = value
    path = directory / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return load_settings(path, {})


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_configuration_agrees_with_itself(path):
    load_settings(path, {})


def signal(name: str, kind: str, **fields: object) -> dict[str, object]:
    return {f"{CHOSEN}.signals.{name}": {"kind": kind, **fields}}


def gates(storm: float) -> dict[str, object]:
    held = {"CALM": 2.0, "NORMAL": 1.5, "STORM": storm}
    return {f"{CHOSEN}.regime.exposures": {name: {"gross": gross, "net": 0.4} for name, gross in held.items()}}


def chosen(name: str, **fields: object) -> dict[str, object]:
    return {CHOSEN: {"name": name, **fields}}


def group(**fields: object) -> dict[str, object]:
    return {f"{CHOSEN}.limits.groups": {"tech": {"symbols": ["AAPL"], **fields}}}


def floor(value: float, **limits: object) -> dict[str, object]:
    wide = {"gross": 9.0, "net": 9.0, "turnover": 9.0, "box": 9.0} | limits
    return {f"{CHOSEN}.limits": {"net_floor": value, **wide}}


NOTHING_WRONG: list[dict[str, object]] = [
    signal("ERN", "earnings_surprise", table="earnings", hold="P5D"),
    signal("VRP", "volatility_premium", index=None),
    signal("POS", "positioning", ownership_weight=0.0, ownership_table="nowhere"),
    gates(1.5),
    chosen("momentum", winners=3, losers=2),
    chosen("dual_momentum", markets={"us": ["AAPL", "MSFT"]}, per_market=2),
    group(low=0.1, high=0.1),
    floor(4.5),
    {"strategy.universe": []},
]


@pytest.mark.parametrize("changes", NOTHING_WRONG)
def test_what_goes_together_is_accepted(tmp_path, changes):
    loaded(tmp_path, changes)


WRONG: list[tuple[dict[str, object], tuple[str, ...]]] = [
    (signal("ERN", "earnings_surprise", table="earningz"), ("signals.ERN.table: earningz", "did you mean earnings?")),
    (signal("SIF", "sentiment", news_table="newz"), ("signals.SIF.news_table: newz is not in data.tables",)),
    (signal("VRP", "volatility_premium", index="IDX"), ("signals.VRP.index: IDX", "did you mean INDEX?")),
    (signal("ERN", "earnings_surprise", hold="-P5D"), ("signals.ERN.hold", "greater than 0")),
    (signal("SIF", "sentiment", news_window="PT0S"), ("signals.SIF.news_window", "greater than 0")),
    (signal("SIF", "sentiment", max_age="-P1D"), ("signals.SIF.max_age", "greater than 0")),
    (signal("POS", "positioning", max_age="-P1D"), ("signals.POS.max_age", "greater than 0")),
    (
        signal("POS", "positioning", ratio_weight=0, cover_weight=0, ownership_weight=0),
        ("signals.POS", "ownership_weight must be above zero"),
    ),
    (signal("SIF", "sentiment", news_weight=0, revision_weight=0), ("signals.SIF", "must be above zero")),
    (gates(1.6), ("regime", "STORM must not allow more")),
    ({f"{CHOSEN}.limits.groups": {"t": {"symbols": ["AAPLE"]}}}, ("limits.groups.t.symbols", "did you mean AAPL?")),
    (group(low=0.4, high=0.1), ("limits.groups.tech", "low must not be above high")),
    (group(low=0.4, gross=0.1), ("limits.groups.tech", "low must not be above gross")),
    (group(low=0.9), ("groups.tech.low cannot be reached",)),
    (group(high=-0.9), ("groups.tech.high cannot be reached",)),
    (floor(2.0, net=1.0), ("limits", "net_floor must not be above net")),
    (floor(2.0, turnover=1.0), ("limits", "net_floor must not be above turnover")),
    (floor(2.0, box=0.3), ("limits.net_floor is above box times 5 symbols",)),
    ({"strategy.universe": ["AAPL", "TSLA"]}, ("strategy.universe: TSLA is not in data.symbols",)),
    (chosen("momentum", winners=4, losers=2), ("winners and losers are 6 of 5 symbols",)),
    (
        chosen("dual_momentum", markets={"us": ["AAPLE", "MSFT"]}),
        ("AAPLE in strategy.strategy.markets.us", "did you mean AAPL?"),
    ),
    ({"strategy.bar_size": "1h"}, ("strategy.bar_size is 1h and data.bar_size 1d",)),
    (chosen("dual_momentum", markets={"us": ["AAPL"]}, per_market=2), ("per_market is 2 and markets.us has 1",)),
    (
        chosen("momentum", winners=4, losers=2) | {"strategy.universe": []},
        ("winners and losers are 6 of 5 symbols",),
    ),
]


@pytest.mark.parametrize(("changes", "said"), WRONG)
def test_what_cannot_work_is_refused_with_its_field_and_the_fix(tmp_path, changes, said):
    with pytest.raises(ConfigurationError) as refused:
        loaded(tmp_path, changes)
    assert all(words in str(refused.value) for words in said), str(refused.value)


def test_a_signal_of_order_flow_needs_some(tmp_path):
    config = yaml.safe_load((ROOT / "config" / "signal_ensemble.yaml").read_text())
    del config["data"]["tables"]["order_flow"]
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(ConfigurationError, match=r"signals\.OFI reads order flow, and there is no table order_flow"):
        load_settings(path, {})
    config["data"]["sources"].append({"files": ["quotes.csv"], "kind": "quotes"})
    path.write_text(yaml.safe_dump(config))
    load_settings(path, {})
