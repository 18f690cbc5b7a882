"""Every gate before live trading, and every field of the signed decision."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from contracts.market import BarEvent
from contracts.trading import ExecutionReport, OrderIntent, OrderStatus, OrderType, Side
from domain.go_live import (
    CodeVersion,
    Evidence,
    GoLiveRecord,
    Review,
    Role,
    Signature,
    SignedRecord,
    SignedReview,
    Step,
)
from ibkr_client.lifeline import Address
from kernel.code_version import source_digest
from kernel.signing import signer_at
from order_plane.brokers.ibkr import IbkrBroker, IbkrTerms, WrongAccount
from order_plane.brokers.paper_store import MemoryPaperStore
from order_plane.composition import build_stage, paper_broker
from order_plane.gates import LiveTradingRefused, permission, require_open_gates, shut_gates
from order_plane.go_live_terms import PLACES, go_live_terms, limits_hash, order_configuration
from order_plane.journals.memory import MemoryJournal
from order_plane.settings import OrderSettings

OPEN = {"LIVE_API": "1", "CONFIRM_LIVE": "YES", "ENABLE_LIVE_TRADING": "true"}
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
OTHER = "ab" * 32
CODE = source_digest()
HOLDERS = dict(zip(Role, ("Rita", "Carl", "Lena"), strict=True))


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    place = tmp_path_factory.mktemp("keys")
    return {role: signer_at(place / f"{role.name}.key") for role in Role}


@pytest.fixture
def settings(keys, tmp_path, monkeypatch):
    monkeypatch.setattr("order_plane.gates.source_digest", lambda: CODE)
    chosen = {"record_path": tmp_path / "record.json", "signers": {role: key.public for role, key in keys.items()}}
    return OrderSettings.model_validate(
        {"mode": "live", "account": "U7654321", "go_live": chosen, "ibkr": {"port": 4001}, "broker": "ibkr"}
    )


def a_record(settings, **changes):
    fields = {
        "account": settings.account,
        "configuration": OTHER,
        "order_configuration": order_configuration(settings),
        "limits": limits_hash(settings),
        "code": CodeVersion(version="1", commit="c" * 40, dirty=False, digest=CODE),
        "evidence": Evidence.PAPER,
        "evidence_account": "DU1",
        "artifacts": {str(stage): OTHER for stage in range(1, 9)},
        "passed": True,
        "decided_at": NOW - DAY,
        "expires_at": NOW + 90 * DAY,
        "capital": 1_000_000.0,
        "scale_up": (
            Step(capital_fraction=0.1, position_cap=20_000.0, review_by=NOW + 14 * DAY),
            Step(capital_fraction=0.3, position_cap=60_000.0, review_by=NOW + 28 * DAY),
            Step(capital_fraction=1.0, position_cap=200_000.0, review_by=NOW + 90 * DAY),
        ),
    }
    return GoLiveRecord(**{**fields, **changes})


def sign(document, keys, roles=tuple(Role)):
    made = []
    for role in roles:
        blank = Signature(role=role, name=HOLDERS[role], public_key=keys[role].public, signature="0" * 128)
        made.append(blank.model_copy(update={"signature": keys[role].sign(blank.text(document))}))
    return tuple(made)


@pytest.fixture
def write(settings, keys):
    def written(record=None, signatures=None, reviews=()):
        record = record or a_record(settings)
        signed = SignedRecord(record=record, signatures=signatures or sign(record, keys), reviews=reviews)
        settings.go_live.record_path.write_text(signed.model_dump_json(), "utf-8")
        return json.loads(signed.model_dump_json())

    return written


def why(settings):
    _, found = permission(go_live_terms(settings))
    return found


def test_with_every_gate_open_the_decision_is_given(settings, write):
    write()
    assert shut_gates(OPEN, go_live_terms(settings)) == ()
    found = require_open_gates(OPEN, go_live_terms(settings))
    assert found.allowed(NOW) == (100_000.0, 20_000.0)


@pytest.mark.parametrize("shut", sorted(OPEN))
def test_a_switch_that_is_shut_is_named_alone(settings, write, shut):
    write()
    assert [each.partition("=")[0] for each in shut_gates({**OPEN, shut: "no"}, go_live_terms(settings))] == [shut]
    with pytest.raises(LiveTradingRefused, match=f"missing: {shut}="):
        require_open_gates({**OPEN, shut: "no"}, go_live_terms(settings))


def leaves(value, path=()):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, (*path, number))
    else:
        yield path


def mutated(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, float):
        return value * 0.999
    if value in set(Evidence):
        return next(each.value for each in Evidence if each.value != value)
    if value in set(Role):
        return next(each.value for each in Role if each.value != value)
    last = value[-1]
    if last == "Z":  # a moment
        return (datetime.fromisoformat(value) + timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
    return value[:-1] + ("0" if last != "0" else "1")


def _every_leaf():
    settings = OrderSettings()
    names = ("record", "signatures")
    record = json.loads(a_record(settings).model_dump_json())
    signature = {"role": "", "name": "", "public_key": "", "signature": ""}
    return sorted(leaves({names[0]: record, names[1]: [signature] * 3}), key=str)


@pytest.mark.parametrize("path", _every_leaf(), ids=lambda path: ".".join(map(str, path)))
def test_every_mutation_of_a_signed_field_is_refused(settings, write, path):
    document = write()
    assert why(settings) == []
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = mutated(place[path[-1]])
    settings.go_live.record_path.write_text(json.dumps(document), "utf-8")
    assert why(settings) != []
    with pytest.raises(LiveTradingRefused, match="go-live record"):
        require_open_gates(OPEN, go_live_terms(settings))


def test_every_field_of_the_record_is_among_those_that_were_mutated():
    named = {path[1] for path in _every_leaf() if path[0] == "record"}
    assert named == set(GoLiveRecord.model_fields)


@pytest.mark.parametrize("name", sorted(GoLiveRecord.model_fields))
def test_a_record_without_a_field_or_with_one_more_is_none(settings, write, name):
    document = write()
    text = json.dumps(document)
    del document["record"][name]
    settings.go_live.record_path.write_text(json.dumps(document), "utf-8")
    assert name in why(settings)[0]
    more = json.loads(text)
    more["record"][f"{name}_too"] = 1
    settings.go_live.record_path.write_text(json.dumps(more), "utf-8")
    assert f"{name}_too" in why(settings)[0]


@pytest.mark.parametrize("role", list(Role))
def test_each_signature_is_needed_once(settings, write, keys, role):
    record = a_record(settings)
    others = [each for each in Role if each is not role]
    write(record, sign(record, keys, others))
    assert why(settings) == [f"the {role.value} has not signed"]
    write(record, (*sign(record, keys), *sign(record, keys, [role])))
    assert why(settings) == [f"the {role.value} has signed more than once"]


def test_swapped_roles_are_refused_even_when_the_settings_swap_with_them(settings, write, keys):
    record = a_record(settings)
    first, second, third = sign(record, keys)
    swapped = (
        first.model_copy(update={"role": second.role}),
        second.model_copy(update={"role": first.role}),
        third,
    )
    write(record, swapped)
    assert len(why(settings)) == 4
    signers = {**settings.go_live.signers, first.role: second.public_key, second.role: first.public_key}
    with_them = settings.model_copy(update={"go_live": settings.go_live.model_copy(update={"signers": signers})})
    assert "the configuration has changed" in why(with_them)
    assert sum("does not fit" in each for each in why(with_them)) == 2


def test_one_key_for_all_roles_is_refused(settings, write, keys):
    one = dict.fromkeys(Role, keys[Role.CTO])
    record = a_record(settings)
    signers = {role: key.public for role, key in one.items()}
    alike = settings.model_copy(update={"go_live": settings.go_live.model_copy(update={"signers": signers})})
    record = a_record(alike)
    write(record, sign(record, one))
    assert why(alike) == ["one key is configured for several roles; three different ones are needed"]


def test_keys_that_nobody_configured_do_not_count(settings, write, keys, tmp_path):
    strangers = {role: signer_at(tmp_path / f"{role.name}.key") for role in Role}
    record = a_record(settings)
    write(record, sign(record, strangers))
    assert len(why(settings)) == 3


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"evidence": Evidence.SIMULATED}, "simulated"),
        ({"passed": False}, "not all passed"),
        ({"account": "U1"}, "another account"),
        ({"order_configuration": OTHER}, "configuration has changed"),
        ({"limits": OTHER}, "limits have changed"),
        ({"code": CodeVersion(version="1", commit="c" * 40, dirty=False, digest=OTHER)}, "code has changed"),
        ({"code": CodeVersion(version="1", commit="c" * 40, dirty=True, digest=CODE)}, "uncommitted"),
        ({"code": CodeVersion(version="1", commit="", dirty=False, digest=CODE)}, "uncommitted"),
        ({"decided_at": NOW + DAY}, "not valid yet"),
    ],
)
def test_what_does_not_fit_is_refused_although_all_have_signed_it(settings, write, changes, text):
    write(a_record(settings, **changes))
    (found,) = why(settings)
    assert text in found


def test_an_expired_record_is_refused(settings, write):
    last = Step(capital_fraction=0.1, position_cap=1.0, review_by=NOW - DAY)
    write(a_record(settings, decided_at=NOW - 9 * DAY, expires_at=NOW - DAY, scale_up=(last,)))
    assert why(settings) == ["it has expired"]


@pytest.mark.parametrize("text", ["", "{}", "[]", "nothing", '{"record": 1}'])
def test_a_file_that_is_no_record_is_refused(settings, text):
    assert "there is no file" in why(settings)[0]
    settings.go_live.record_path.write_text(text, "utf-8")
    assert "is no go-live record" in why(settings)[0]


def changes_of(settings):
    """One other value for each setting that the decision binds."""
    others = {
        "broker": "paper",
        "learn_costs": False,
        "audit": False,
        "journal_wait": "PT5S",
        "calendar": "XNYS",
        "calendar_first": "1991-01-01",
        "calendar_last": "2034-12-31",
        "closed_days": ["2026-01-02"],
        "early_closes": {"2026-01-02": "18:00:00"},
        "capital": 5.0,
        "guards": [],
        "repeat_executions": {"count": 2},
        "verify_plans": False,
        "currency": "EUR",
        "reconciliation": None,
        "unfilled": {"after": "PT5S"},
        "limits": {"max_order_value": 5.0},
        "throttle": {"rate_per_second": 5.0},
        "costs": {"commission": 5.0},
        "volume_cap": None,
        "instruments": {"AAPL": {"lot_size": 1}},
        "ibkr": {"answer_seconds": 6.0},
        "go_live": {"signers": {}},
    }
    assert {*others, *(name for name in PLACES if "." not in name)} == set(OrderSettings.model_fields)
    return others


@pytest.mark.parametrize("name", sorted(changes_of(None)))
def test_every_changed_setting_invalidates_the_decision(settings, write, name):
    write()
    given = {**settings.model_dump(mode="json", exclude_defaults=True)}
    change = changes_of(settings)[name]
    given[name] = {**given.get(name, {}), **change} if isinstance(change, dict) else change
    if name == "broker":
        assert order_configuration(OrderSettings.model_validate_json(json.dumps(given))) != order_configuration(
            settings
        )
        return
    assert "the configuration has changed" in why(OrderSettings.model_validate_json(json.dumps(given)))


def test_places_and_the_paper_account_do_not(settings, write, tmp_path):
    write()
    paper = settings.model_copy(update={"mode": "paper", "journal_path": tmp_path / "elsewhere"})
    moved = paper.model_copy(update={"ibkr": settings.ibkr.model_copy(update={"port": 4002, "paper_ports": (9,)})})
    assert why(moved) == []


@pytest.mark.parametrize("name", ["limits", "throttle", "guards", "capital"])
def test_a_changed_limit_is_named_as_one(settings, write, name):
    write()
    given = {**settings.model_dump(mode="json", exclude_defaults=True), name: changes_of(settings)[name]}
    assert "the limits have changed" in why(OrderSettings.model_validate_json(json.dumps(given)))


def test_the_app_and_the_adapter_both_ask(settings, write, tmp_path):
    write()
    terms = IbkrTerms(
        Address("127.0.0.1", 4001, 1, patience=0.2),
        settings.account,
        tmp_path / "ids",
        live=True,
        go_live=go_live_terms(settings),
    )
    for gate in OPEN:
        with pytest.raises(LiveTradingRefused, match=gate):
            IbkrBroker(terms, {**OPEN, gate: ""})
        with pytest.raises(LiveTradingRefused, match=gate):
            build_stage(settings, environment={**OPEN, gate: ""})
    settings.go_live.record_path.unlink()
    with pytest.raises(LiveTradingRefused, match="there is no file"):
        IbkrBroker(terms, OPEN)
    with pytest.raises(LiveTradingRefused, match="there is no file"):
        build_stage(settings, environment=OPEN)
    with pytest.raises(LiveTradingRefused, match="none is named"):
        IbkrBroker(replace(terms, go_live=None), OPEN)
    with pytest.raises(WrongAccount, match="another account"):
        IbkrBroker(replace(terms, account="U1"), OPEN)


def a_review(record, keys, step=2, at=NOW - DAY / 2, roles=tuple(Role), of=None):
    review = Review(record=of or record.fingerprint, step=step, reviewed_at=at, findings="fine")
    return SignedReview(review=review, signatures=sign(review, keys, roles))


def allowed(settings, at=NOW):
    found, why_not = permission(go_live_terms(settings))
    assert why_not == []
    return found.allowed(at)


def test_a_signed_review_opens_the_next_step_and_only_that(settings, write, keys):
    record = a_record(settings)
    write(record, reviews=(a_review(record, keys),))
    assert allowed(settings) == (300_000.0, 60_000.0)
    write(record, reviews=(a_review(record, keys, step=3),))
    assert allowed(settings) == (100_000.0, 20_000.0)
    write(record, reviews=(a_review(record, keys), a_review(record, keys, step=3, at=NOW - DAY / 4)))
    assert allowed(settings) == (1_000_000.0, 200_000.0)


@pytest.mark.parametrize("changes", [{"roles": (Role.CTO, Role.LEAD_TRADER)}, {"of": OTHER}, {"at": NOW + DAY}])
def test_a_review_that_does_not_count_changes_nothing(settings, write, keys, changes):
    record = a_record(settings)
    write(record, reviews=(a_review(record, keys, **changes),))
    assert allowed(settings) == (100_000.0, 20_000.0)


def test_a_missed_review_stops_growth_and_a_late_one_does_not_help(settings, write, keys):
    record = a_record(settings)
    write(record)
    assert allowed(settings, NOW + 13 * DAY) is not None
    assert allowed(settings, NOW + 14 * DAY) is None
    late = permission(go_live_terms(settings))[0].record
    write(late, reviews=(a_review(late, keys, at=NOW + 15 * DAY),))
    assert allowed(settings, NOW + 16 * DAY) is None


@pytest.mark.parametrize("name", sorted(Review.model_fields))
def test_a_review_that_was_changed_after_it_was_signed_does_not_count(settings, write, keys, name):
    record = a_record(settings)
    genuine = a_review(record, keys)
    other = {"record": OTHER, "step": 3, "reviewed_at": NOW - DAY / 3, "findings": "finer"}[name]
    changed = genuine.review.model_copy(update={name: other})
    write(record, reviews=(genuine.model_copy(update={"review": changed}),))
    assert allowed(settings) == (100_000.0, 20_000.0)


def traded(settings, at, quantity, number=1):
    """The report on a purchase at a moment, by a live order plane whose venue is the paper one."""
    broker = paper_broker(settings, MemoryPaperStore())
    stage = build_stage(settings, MemoryJournal(), broker, environment=OPEN)
    stage.recover()
    bar = BarEvent(symbol="AAPL", timestamp=at, open=100.0, high=100.0, low=100.0, close=100.0, volume=1e6)
    stage.handlers[BarEvent](bar)
    intent = OrderIntent(
        intent_id=UUID(int=number),
        symbol="AAPL",
        direction=Side.BUY,
        quantity=quantity,
        order_type=OrderType.MARKET,
        timestamp=at,
    )
    stage.handlers[OrderIntent](intent)
    reports = [each for each in stage.settle() if isinstance(each, ExecutionReport)]
    stage.close()
    return reports[-1]


def test_the_order_plane_holds_live_orders_to_the_step_that_was_signed(settings, write):
    write()
    assert traded(settings, NOW, 200.0).status is not OrderStatus.REJECTED
    above = traded(settings, NOW, 201.0)
    assert above.status is OrderStatus.REJECTED
    assert above.reject_reason.startswith("SCALE_UP_POSITION_EXCEEDED")


def test_the_order_plane_adds_nothing_once_the_review_is_overdue(settings, write):
    write()
    late = traded(settings, NOW + 15 * DAY, 1.0)
    assert late.status is OrderStatus.REJECTED
    assert late.reject_reason.startswith("SCALE_UP_REVIEW_MISSING")


def test_capital_in_all_symbols_together_is_held_too(settings, write):
    steps = (Step(capital_fraction=0.1, position_cap=1e9, review_by=NOW + 14 * DAY),)
    write(a_record(settings, scale_up=steps, capital=1_000.0))
    assert traded(settings, NOW, 1.0).status is not OrderStatus.REJECTED
    above = traded(settings, NOW, 1.1)
    assert above.reject_reason.startswith("SCALE_UP_CAPITAL_EXCEEDED")
