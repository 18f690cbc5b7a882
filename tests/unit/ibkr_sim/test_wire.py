"""Frames and layouts of the socket protocol."""

import struct

import pytest

from ibkr_sim.layout import (
    UNSET_DOUBLE,
    Kind,
    MalformedMessageError,
    Repeat,
    When,
    fields,
    integer,
    number,
    read,
    text_of,
    write,
)
from ibkr_sim.order_layout import COMPLETED_ORDER, OPEN_ORDER, PLACE_ORDER
from ibkr_sim.requests import REQUESTS, parse
from ibkr_sim.responses import RESPONSES, message
from ibkr_sim.wire import MAX_FRAME_BYTES, ProtocolError, frame, frames, join, split


def test_frames_come_out_whole_however_they_arrive():
    data = frame(b"one\0") + frame(b"two\0")
    buffer, found = bytearray(), []
    for byte in data:
        buffer.append(byte)
        found += list(frames(buffer))
    assert found == [b"one\0", b"two\0"]
    assert buffer == b""


def test_a_frame_of_absurd_length_is_no_protocol():
    with pytest.raises(ProtocolError, match="longer"):
        list(frames(bytearray(struct.pack(">I", MAX_FRAME_BYTES + 1))))


def test_text_beyond_ascii_travels_as_escapes():
    assert join(["Zürich", ""]) == b"Z\\xfcrich\0\0"
    assert split(b"4\0\0last") == ["4", ""]


def test_a_layout_is_read_and_written_by_version():
    layout = (*fields("=9 id:int old<160 new>=160"), Repeat("rows", fields("price:price")), When("id", fields("more")))
    values = {"id": 7, "old": "o", "new": "n", "rows": [{"price": 1.5}, {}], "more": "m"}
    assert write(layout, values, 159) == ["9", "7", "o", "2", "1.5", "0.0", "m"]
    assert write(layout, {"new": "n"}, 160) == ["9", "0", "n", "0"]
    read_back = read(layout, iter(["9", "7", "n", "2", "1.5", "2.5", "m"]), 160)
    assert read_back == {"id": "7", "new": "n", "rows": "2", "rows.0.price": "1.5", "rows.1.price": "2.5", "more": "m"}


def test_a_short_message_is_malformed():
    with pytest.raises(MalformedMessageError, match="ends before"):
        read(fields("a b"), iter(["1"]), 176)


@pytest.mark.parametrize(
    ("value", "kind", "version", "text"),
    [
        (None, Kind.DOUBLE, 176, UNSET_DOUBLE),
        (None, Kind.TEXT, 176, ""),
        (True, Kind.BOOL, 176, "1"),
        (100.0, Kind.SIZE, 176, "100"),
        (0.5, Kind.SIZE, 176, "0.5"),
        (0.5, Kind.SIZE, 162, "0"),
        ("100.0", Kind.SIZE, 157, "100"),
        (float("inf"), Kind.DOUBLE, 176, "Infinite"),
        (1.1, Kind.PRICE, 176, "1.1"),
    ],
)
def test_values_are_written_as_the_protocol_does(value, kind, version, text):
    assert text_of(value, kind, version) == text


def test_unset_numbers_are_read_as_such():
    assert number("") is number("1.7976931348623157e+308") is number(UNSET_DOUBLE) is None
    assert (number("Infinite"), number("-2.5"), integer(""), integer("2147483647")) == (float("inf"), -2.5, 0, 0)
    for bad in ("x", "nan"):
        with pytest.raises(MalformedMessageError):
            number(bad)
    with pytest.raises(MalformedMessageError):
        integer("1.5")


def test_a_word_that_is_no_field_is_refused():
    with pytest.raises(ValueError, match="layout word"):
        fields("price-5")


def test_order_messages_have_the_length_that_clients_count_on():
    def counts(layout):
        return [len(write(layout, {}, version)) for version in (157, 158, 160, 162, 170, 177)]

    # One field is added at 158, 160 and 162, five at 170; at 177 the allocation profile goes.
    assert counts(OPEN_ORDER) == [128, 129, 130, 131, 136, 135]
    base = counts(COMPLETED_ORDER)
    assert [count - base[0] for count in base] == [0, 0, 0, 0, 5, 4]


def test_every_request_is_known_by_number_and_name():
    assert len({request.name for request in REQUESTS.values()}) == len(REQUESTS)
    assert parse(["49", "1"], 176).name == "reqCurrentTime"
    for bad in ([], ["77777"], ["x"], ["4", "1"]):
        with pytest.raises(MalformedMessageError):
            parse(bad, 176)


def test_every_response_can_be_written_for_every_version():
    for version in range(157, 179):
        for name in RESPONSES:
            assert message(name, {}, version).endswith(b"\0")


def test_place_order_reads_to_its_last_field_at_every_version():
    for version in range(157, 179):
        texts = write(PLACE_ORDER, {"conditions": "0"}, version)
        left = iter([*texts, "END"])
        assert read(PLACE_ORDER, left, version)["usePriceMgmtAlgo"] == ""
        assert list(left) == ["END"]
