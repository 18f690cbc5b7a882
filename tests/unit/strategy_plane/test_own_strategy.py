"""A strategy of one's own is a plain class or function in a file of the user's, named in the configuration."""

import importlib
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from contracts.control import RiskAlert
from contracts.market import BarEvent, SliceEvent
from contracts.trading import OrderIntent
from strategy_plane.composition import build_stage
from strategy_plane.own_code import OwnCodeRefused
from strategy_plane.settings import OwnStrategySettings, StrategySettings

START = datetime(2024, 1, 1, 21, tzinfo=UTC)
README = (Path(__file__).parents[3] / "README.md").read_text("utf-8")
FULL = """
class Always:
    warm_up, period = 2, 1
    def __init__(self, symbol):
        self.symbol, self.seen = symbol, 0
    def on_bar(self, bar):
        self.seen += 1
    def decide(self, moment, portfolio):
        from strategy_plane.strategies.port import Targets
        return Targets({self.symbol: 0.5})
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Write a module into the working directory under a name that no other test uses."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def to(text: str, name: str = f"own_{tmp_path.name}") -> str:
        monkeypatch.delitem(sys.modules, name, raising=False)
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        return name

    return to


def said(chosen: dict[str, object], paths: dict[str, list[float]], **others: object) -> list[object]:
    stage = build_stage(StrategySettings.model_validate({"strategy": chosen, **others}))
    found: list[object] = []
    for day in range(len(next(iter(paths.values())))):
        moment = START + timedelta(days=day)
        for symbol, closes in paths.items():
            prices = dict.fromkeys(("open", "high", "low", "close"), closes[day])
            bar = BarEvent(symbol=symbol, timestamp=moment, volume=1.0, bar_size="1d", **prices)
            found += stage.handlers[BarEvent](bar)
        found += stage.handlers[SliceEvent](SliceEvent(timestamp=moment, bar_size="1d", symbols=tuple(paths)))
    return found


def test_the_example_in_the_readme_buys_what_has_risen_most(write, monkeypatch):
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "strategy_number_1" in block)
    (text,) = (block for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL) if "strategy_number_1" in block)
    monkeypatch.delitem(sys.modules, "strategy", raising=False)
    write(code, "strategy")
    rising = {"UP": [100.0 + day for day in range(40)], "DOWN": [100.0 - day for day in range(40)]}
    (intent,) = said(yaml.safe_load(text)["strategy"]["strategy"], rising)
    assert isinstance(intent, OrderIntent)
    assert (intent.symbol, intent.quantity, intent.timestamp) == ("UP", 2158.0, START + timedelta(days=39))
    from strategy import strategy_number_1

    assert strategy_number_1.__module__ == "strategy"


def test_a_class_with_decide_is_a_whole_strategy(write):
    name = write(FULL)
    found = said({"name": "own", "factory": f"{name}:Always", "parameters": {"symbol": "A"}}, {"A": [100.0, 100.0]})
    assert [(each.symbol, each.quantity) for each in found] == [("A", 5000.0)]


def test_an_object_that_can_be_called_is_asked_like_a_function(write):
    name = write("class Half:\n    def __call__(self, view):\n        return dict.fromkeys(view.traded, 0.5)\n")
    found = said({"name": "own", "factory": f"{name}:Half", "bars": 1}, {"A": [100.0]})
    assert [(each.symbol, each.quantity) for each in found] == [("A", 5000.0)]


def test_the_file_is_imported_once_and_the_function_asked_on_schedule(write, capsys):
    name = write("print('imported')\ndef f(view):\n    print('asked')\n")
    for _ in range(2):
        said({"name": "own", "factory": f"{name}:f", "bars": 2, "period": 3}, {"A": [1.0] * 9})
    printed = capsys.readouterr().out.split()
    assert printed.count("imported") == 1
    assert printed.count("asked") == 2 * 3  # at moments 2, 5 and 8


@pytest.mark.parametrize(
    "body", ["view.closes('A', 2)[0] = 1.0", "view.bars('A', 2).volume[0] = 9.0", "view.panel(2).closes[0, 0] = 1.0"]
)
def test_what_it_is_shown_cannot_be_changed(write, body: str):
    name = write(f"def f(view):\n    {body}\n")
    with pytest.raises(ValueError, match="read-only"):
        said({"name": "own", "factory": f"{name}:f", "bars": 2}, {"A": [1.0] * 3})


def test_it_cannot_see_a_later_moment(write):
    name = write("from datetime import timedelta\ndef f(view):\n    view.as_of(view.at + timedelta(days=1))\n")
    with pytest.raises(LookupError, match="after this view"):
        said({"name": "own", "factory": f"{name}:f", "bars": 1}, {"A": [1.0, 2.0]})


@pytest.mark.parametrize(
    "answer",
    ["[1.0]", "{'A': float('nan')}", "{'A': 'much'}", "{'A': None}", "{'A': 1e308, 'B': 1e308}", "{'A': 10**400}"],
)
def test_an_answer_that_is_no_weights_is_an_alarm_and_no_order(write, answer: str):
    name = write(f"def f(view):\n    return {answer}\n")
    (alarm,) = said({"name": "own", "factory": f"{name}:f", "bars": 1}, {"A": [1.0]})
    assert alarm.code == "OWN_STRATEGY"


@pytest.mark.parametrize("rebalancing", [None, {"every": "monthly"}])
@pytest.mark.parametrize("name", ["a company", "", "x" * 33])
def test_a_name_that_no_symbol_has_is_told_and_the_rest_is_traded(write, rebalancing, name: str):
    module = write(f"def f(view):\n    return {{'A': 0.5, {name!r}: 0.4}}\n")
    chosen = {"name": "own", "factory": f"{module}:f", "bars": 1}
    found = said(chosen, {"A": [100.0]}, rebalancing=rebalancing)
    (alarm,) = (each for each in found if isinstance(each, RiskAlert))
    assert (alarm.code, repr(name[:20])[1:-1] in alarm.detail) == ("OWN_STRATEGY", True)
    assert [(each.symbol, each.quantity) for each in found if isinstance(each, OrderIntent)] == [("A", 5000.0)]


@pytest.mark.parametrize("rebalancing", [None, {"every": "monthly"}])
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("Targets({'A': 0.5, 'a company': 0.1})", "named 'a company'"),
        ("Targets({'A': float('inf'), 'B': -float('inf')})", "target for 'A'"),
        ("Targets({'A': float('nan')})", "target for 'A'"),
        ("Targets({'A': 'much'})", "target for 'A'"),
        ("Targets({'A': None})", "target for 'A'"),
        ("Targets({'A': float('inf'), 'B': -float('inf')}, Basis.UNITS)", "target for 'A'"),
    ],
)
def test_targets_of_a_whole_strategy_that_nobody_can_hold_are_an_alarm(write, rebalancing, answer: str, told: str):
    text = FULL.replace("Targets({self.symbol: 0.5})", answer).replace("import Targets", "import Basis, Targets")
    chosen = {"name": "own", "factory": f"{write(text)}:Always", "parameters": {"symbol": "A"}}
    found = said(chosen, {"A": [100.0, 100.0], "B": [100.0, 100.0]}, rebalancing=rebalancing)
    (alarm,) = (each for each in found if isinstance(each, RiskAlert))
    assert (alarm.code, told in alarm.detail) == ("INVALID_TARGET", True)
    assert [each.symbol for each in found if isinstance(each, OrderIntent)] == (["A"] if "company" in answer else [])


@pytest.mark.parametrize("answer", ["{'A': 0.5}", "[0.5]", "0.5"])
def test_a_whole_strategy_that_answers_something_else_than_targets_is_named(write, answer: str):
    name = write(FULL.replace("Targets({self.symbol: 0.5})", answer))
    chosen = {"name": "own", "factory": f"{name}:Always", "parameters": {"symbol": "A"}}
    with pytest.raises(TypeError, match=f"{name}:Always: decide must return Targets"):
        said(chosen, {"A": [100.0, 100.0]})


@pytest.mark.parametrize(
    ("text", "attribute", "parameters", "told"),
    [
        ("", "missing", {}, "cannot be found"),
        ("x = 1", "x", {}, "cannot be found"),
        ("def f(view): ...", "f", {"speed": 1}, "does not take"),
        ("def f(): ...", "f", {}, "does not take"),
        (FULL, "Always", {}, "does not take"),
        ("class C: ...", "C", {}, "neither decide nor"),
        ("class C:\n    def decide(self, m, p): ...", "C", {}, "has no warm_up, period, on_bar"),
    ],
)
def test_what_is_no_strategy_is_refused_with_the_fix(write, text, attribute, parameters, told):
    name = write(text)
    chosen = OwnStrategySettings(factory=f"{name}:{attribute}", parameters=parameters)
    with pytest.raises(OwnCodeRefused, match=told):
        build_stage(StrategySettings(strategy=chosen))


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ("period = 'monthly'", "period must be .*Frequency"),
        ("period = 0", "period must be"),
        ("period = True", "period must be"),
        ("period = 1.5", "period must be"),
        ("def period(self): return 1", "period must be .*@property"),
        ("warm_up = -1", "warm_up must be"),
        ("warm_up = 2.0", "warm_up must be"),
        ("warm_up = False", "warm_up must be"),
        ("def warm_up(self): return 2", "warm_up must be .*@property"),
    ],
)
def test_a_whole_strategy_that_declares_what_nobody_can_count_is_refused(write, declared: str, told: str):
    name = write(f"{FULL}    {declared}\n")
    chosen = OwnStrategySettings(factory=f"{name}:Always", parameters={"symbol": "A"})
    with pytest.raises(OwnCodeRefused, match=f"{name}:Always.*{told}"):
        build_stage(StrategySettings(strategy=chosen))


@pytest.mark.parametrize("period", ["Frequency.MONTHLY", "int64(1)"])
def test_a_whole_strategy_may_be_asked_by_the_calendar_and_count_in_any_whole_number(write, period: str):
    imports = "from numpy import int64\nfrom strategy_plane.strategies.port import Frequency\n"
    name = write(f"{imports}{FULL}    warm_up, period = int64(1), {period}\n")
    found = said({"name": "own", "factory": f"{name}:Always", "parameters": {"symbol": "A"}}, {"A": [100.0]})
    assert [(each.symbol, each.quantity) for each in found] == [("A", 5000.0)]


@pytest.mark.parametrize("rebalancing", [None, {"every": "monthly"}])
@pytest.mark.parametrize(
    ("alarm", "code", "detail"),
    [
        ("Alarm('LOST', '')", "LOST", "LOST"),
        ("Alarm('is lost', 'why\\0')", "is_lost", "why"),
        ("Alarm('', '')", "ALARM", "ALARM"),
        ("Alarm('x' * 65, 'y' * 513)", "x" * 64, "y" * 512),
    ],
)
def test_an_alarm_of_ones_own_is_said_whatever_it_is_called(write, rebalancing, alarm: str, code: str, detail: str):
    text = FULL.replace("Targets({self.symbol: 0.5})", f"Targets({{self.symbol: 0.5}}, alarm={alarm})")
    name = write(text.replace("import Targets", "import Alarm, Targets"))
    chosen = {"name": "own", "factory": f"{name}:Always", "parameters": {"symbol": "A"}}
    found = said(chosen, {"A": [100.0, 100.0]}, rebalancing=rebalancing)
    (told,) = (each for each in found if isinstance(each, RiskAlert))
    assert (told.code, told.detail) == (code, detail)
    assert [each.symbol for each in found if isinstance(each, OrderIntent)] == ["A"]


def test_a_fault_inside_the_file_is_shown_as_it_is(write):
    name = write("import a_package_that_is_not_installed\n")
    with pytest.raises(ModuleNotFoundError, match="a_package_that_is_not_installed"):
        build_stage(StrategySettings(strategy=OwnStrategySettings(factory=f"{name}:f")))
    with pytest.raises(OwnCodeRefused, match=r"strategy\.strategy"):
        build_stage(StrategySettings(strategy=OwnStrategySettings(factory="no_such_module_anywhere:f")))
