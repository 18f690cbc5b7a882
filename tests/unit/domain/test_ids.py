from datetime import UTC, datetime, timedelta, timezone
from itertools import product
from uuid import NAMESPACE_URL, UUID, uuid5

from domain.ids import intent_id, report_id, text_of

MOMENT = datetime(2024, 1, 2, 21, 0, tzinfo=UTC)


def test_names_do_not_change_between_versions_of_the_program():
    """Intents that a broker knows must be recognised after an upgrade: never change these values."""
    intent = intent_id("momentum", "AAPL", MOMENT)

    assert intent == UUID("7a99bae5-ef4a-5ea0-befa-a59d48c2f399")
    assert report_id(intent, 1) == uuid5(intent, "1") == UUID("b1b37f90-3885-5886-b053-4f6c36ebc2e7")


def test_the_same_cause_has_the_same_name():
    assert intent_id("s", "AAPL", MOMENT, 2) == intent_id("s", "AAPL", MOMENT, 2)


def test_an_intent_is_named_after_its_moment_in_full():
    intents = uuid5(uuid5(NAMESPACE_URL, "urn:algo-trade"), "intent")
    step = timedelta(days=17, hours=5, minutes=13, seconds=7)
    for moment in (datetime(999, 12, 31, tzinfo=UTC) + number * step for number in range(300)):
        for at in (moment, moment + timedelta(microseconds=1), moment + timedelta(microseconds=120_000)):
            assert intent_id("s", "AAPL", at) == uuid5(intents, f"s AAPL {at.isoformat()} 0"), at


def test_a_moment_is_the_same_in_every_zone():
    seoul = timezone(timedelta(hours=9))

    assert intent_id("s", "AAPL", MOMENT.astimezone(seoul)) == intent_id("s", "AAPL", MOMENT)


def test_different_causes_have_different_names():
    causes = product(("s", "s|A", "t"), ("AAPL", "A|AAPL"), (MOMENT, MOMENT + timedelta(microseconds=1)), (0, 1))
    intents = [intent_id(*cause) for cause in causes]
    reports = [report_id(intent, sequence) for intent in intents for sequence in (1, 2, 11)]

    assert len(set(intents + reports)) == len(intents) + len(reports)


def test_names_are_name_based_uuids():
    assert intent_id("s", "AAPL", MOMENT).version == 5


def test_a_name_is_spelled_as_everywhere_else():
    names = [UUID(int=0), UUID(int=2**128 - 1), *(intent_id("s", "AAPL", MOMENT, number) for number in range(2000))]

    assert [text_of(name) for name in names + names] == [str(name) for name in names + names]
