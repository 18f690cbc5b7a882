from datetime import date

import pytest
from pydantic import ValidationError

from domain.costs import BasisPoints, BasisPointSlippage, PerOrder, PerShare, RangeSlippage
from order_plane.brokers.paper_store import MemoryPaperStore
from order_plane.composition import build_simulation, build_stage, calendar_of, commission_of, paper_broker, slippage_of
from order_plane.gates import GO_LIVE_RECORD, LiveTradingRefused, shut_gates
from order_plane.journals.memory import MemoryJournal
from order_plane.journals.port import JournalError
from order_plane.settings import CostSettings, OrderSettings

OPEN = {"LIVE_API": "1", "CONFIRM_LIVE": "YES", "ENABLE_LIVE_TRADING": "true"}


def test_the_default_is_paper():
    assert OrderSettings().mode == "paper"


@pytest.mark.parametrize(
    "bad",
    [
        {"unknown": 1},
        {"limits": {"max_order_value": 0}},
        {"limits": {"max_order_value": float("inf")}},
        {"limits": {"max_order_value": float("nan")}},
        {"limits": {"price_collar": 1.5}},
        {"volume_cap": 0},
        {"throttle": {"burst": 10, "cancel_reserve": 10}},
        {"calendar_first": "2024-01-02", "calendar_last": "2024-01-01"},
        {"account": ""},
    ],
)
def test_settings_that_make_no_sense_are_refused(bad):
    with pytest.raises(ValidationError):
        OrderSettings.model_validate(bad)


@pytest.mark.fault("F36: live without its gates")
def test_live_is_refused_and_every_shut_gate_is_named():
    with pytest.raises(LiveTradingRefused) as refusal:
        build_stage(OrderSettings(mode="live"), environment={})
    for gate in ("LIVE_API=1", "CONFIRM_LIVE=YES", "ENABLE_LIVE_TRADING=true", GO_LIVE_RECORD):
        assert gate in str(refusal.value)


@pytest.mark.fault("F36: each half of the gate alone")
@pytest.mark.parametrize("shut", sorted(OPEN))
def test_each_switch_is_a_gate_of_its_own(shut):
    first, second = shut_gates({**OPEN, shut: "maybe"}, None)
    assert first.partition("=")[0] == shut
    assert second.startswith(GO_LIVE_RECORD)


def test_the_switches_alone_do_not_open_live_trading():
    with pytest.raises(LiveTradingRefused, match="go-live record"):
        build_stage(OrderSettings(mode="live"), environment=OPEN)


def test_paper_keeps_its_journal_and_venue_where_the_settings_say(tmp_path):
    settings = OrderSettings(journal_path=tmp_path / "a" / "j.sqlite", paper_store_path=tmp_path / "b" / "p.sqlite")
    build_stage(settings).close()
    assert settings.journal_path.exists()
    assert settings.paper_store_path.exists()


def test_two_order_planes_cannot_hold_one_journal(tmp_path):
    settings = OrderSettings(journal_path=tmp_path / "j.sqlite", paper_store_path=tmp_path / "p.sqlite")
    first = build_stage(settings)
    with pytest.raises(JournalError, match="held by another"):
        build_stage(settings)
    first.close()
    build_stage(settings).close()


def test_a_simulation_touches_no_disk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    build_simulation(OrderSettings()).close()
    build_stage(OrderSettings(mode="simulation")).close()
    assert list(tmp_path.iterdir()) == []


def test_parts_that_are_handed_in_are_used():
    journal = MemoryJournal()
    broker = paper_broker(OrderSettings(), MemoryPaperStore())
    assert build_stage(OrderSettings(), journal, broker).journal_id == journal.journal_id


@pytest.mark.parametrize(
    ("costs", "commission", "slippage"),
    [
        (CostSettings(), PerOrder(1.0), BasisPointSlippage(1.0)),
        (
            CostSettings(commission_model="per_share", commission=0.005, commission_minimum=1.0),
            PerShare(0.005, 1.0),
            BasisPointSlippage(1.0),
        ),
        (
            CostSettings(commission_model="basis_points", slippage_model="range", slippage=0.1),
            BasisPoints(1.0),
            RangeSlippage(0.1),
        ),
    ],
)
def test_cost_models_by_name(costs, commission, slippage):
    assert (commission_of(costs), slippage_of(costs)) == (commission, slippage)


def test_an_exchange_calendar_has_holidays():
    settings = OrderSettings(calendar="XNYS", calendar_first=date(2024, 1, 1), calendar_last=date(2024, 1, 31))
    assert calendar_of(settings).close_on(date(2024, 1, 1)) is None
    assert calendar_of(settings).close_on(date(2024, 1, 2)) is not None


def test_an_unknown_exchange_is_refused():
    with pytest.raises(ValueError, match="NOPE"):
        calendar_of(OrderSettings(calendar="NOPE"))
