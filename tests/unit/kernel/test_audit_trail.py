import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.audit_chain import ChainBroken, Head, entry_of, followed, linked
from kernel.audit_log import AuditBroken
from kernel.audit_trail import ANCHOR_AT_LATEST, ANCHOR_EVERY, AuditTrail, anchors_of, entries, verify
from kernel.clock import ManualClock
from kernel.signing import KeyRefused, is_signed, public_key_at, signer_at

NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)


@pytest.fixture
def signer(tmp_path):
    return signer_at(tmp_path / "audit.key")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit.jsonl"


@pytest.fixture
def written(path, signer):
    """A closed log of ten entries."""
    trail = AuditTrail(path, signer, ManualClock(NOON))
    for number in range(5):
        trail.write([{"event": "A", "value": number}, {"event": "B", "text": "x\n\u2028\0"}])
    trail.close()
    return path


@given(st.lists(st.lists(st.dictionaries(st.text(), st.integers() | st.text()), max_size=3), max_size=5))
def test_whatever_is_written_is_read_again_and_fits(batches):
    head, text = Head(), b""
    for batch in batches:
        head, lines = linked(head, batch)
        text += lines
    again = Head()
    for line in text.decode("ascii").splitlines(keepends=True):
        again = followed(again, line)
        assert entry_of(line)["number"] is not None
    assert again == head


def test_a_log_that_nobody_touched_is_in_order(written, signer):
    finding = verify(written, signer.public)
    assert (finding.head.count, finding.anchors, finding.unanchored) == (10, 1, 0)
    assert [each["event"] for each in entries(written)] == ["A", "B"] * 5
    assert next(entries(written))["at"] == "2024-01-02T17:00:00+00:00"


def test_every_flipped_byte_is_found(written, signer):
    original = written.read_bytes()
    for place in range(len(original)):
        flipped = bytearray(original)
        flipped[place] ^= 1
        written.write_bytes(flipped)
        with pytest.raises(AuditBroken):
            verify(written, signer.public)


@pytest.mark.parametrize(
    "edit",
    [
        lambda lines: lines[:3] + lines[4:],
        lambda lines: lines[1:],
        lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]],
        lambda lines: lines[:5] + lines[4:],
    ],
    ids=["removed", "first removed", "swapped", "repeated"],
)
def test_lines_that_were_moved_are_found(written, signer, edit):
    lines = written.read_bytes().splitlines(keepends=True)
    written.write_bytes(b"".join(edit(lines)))
    with pytest.raises(AuditBroken, match="does not fit"):
        verify(written, signer.public)


@pytest.mark.parametrize("left", [0, 1, 9])
def test_a_cut_end_is_found_by_its_anchor(written, signer, left):
    lines = written.read_bytes().splitlines(keepends=True)
    written.write_bytes(b"".join(lines[:left]))
    with pytest.raises(AuditBroken, match="cut off"):
        verify(written, signer.public)
    with pytest.raises(AuditBroken, match="cut off"):
        AuditTrail(written, signer)


def test_a_log_rewritten_with_fitting_hashes_is_found_by_its_anchor(written, signer):
    told = [{**each, "value": 99} for each in entries(written)]
    _, lines = linked(Head(), ({name: each[name] for name in each if name != "number"} for each in told))
    written.write_bytes(lines)
    with pytest.raises(AuditBroken, match="rewritten"):
        verify(written, signer.public)


def test_an_anchor_of_another_key_is_refused(written, signer, tmp_path):
    other = signer_at(tmp_path / "other.key")
    with pytest.raises(AuditBroken, match="not signed with the expected key"):
        verify(written, other.public)
    body = json.loads(anchors_of(written).read_text())
    anchors_of(written).write_text(json.dumps({**body, "count": 5}) + "\n")
    with pytest.raises(AuditBroken, match="not signed"):
        verify(written, signer.public)


def test_a_copy_of_the_anchors_finds_what_was_cut_from_both(written, signer, tmp_path):
    copy = tmp_path / "elsewhere.anchors"
    copy.write_bytes(anchors_of(written).read_bytes())
    lines = written.read_bytes().splitlines(keepends=True)
    written.write_bytes(b"".join(lines[:4]))
    anchors_of(written).unlink()
    assert verify(written, signer.public).unanchored == 4
    with pytest.raises(AuditBroken, match="cut off"):
        verify(written, signer.public, copy)


def test_a_log_goes_on_after_a_restart(written, signer):
    trail = AuditTrail(written, signer)
    trail.write([{"event": "C"}])
    assert verify(written, signer.public).unanchored == 1
    trail.close()
    assert verify(written, signer.public).head.count == 11


def test_a_torn_last_line_is_cut_and_said(written, signer):
    trail = AuditTrail(written, signer)
    trail.write([{"event": "C"}])
    with written.open("ab") as file:
        file.write(b"0123 {torn")
    trail.close()
    trail = AuditTrail(written, signer)
    trail.close()
    assert [each["event"] for each in entries(written)][-2:] == ["C", "TORN_TAIL_CUT"]
    verify(written, signer.public)


def test_the_head_is_signed_every_so_many_entries_when_nobody_waits(path, signer):
    trail = AuditTrail(path, signer)
    for _ in range(ANCHOR_EVERY):
        trail.rest()
        assert not anchors_of(path).exists()
        trail.write([{"event": "A"}])
    trail.rest()
    trail.rest()
    assert len(anchors_of(path).read_text().splitlines()) == 1
    trail.write([{"event": "A"}])
    trail.close()
    assert len(anchors_of(path).read_text().splitlines()) == 2


def test_without_a_rest_the_head_is_signed_all_the_same(path, signer):
    trail = AuditTrail(path, signer)
    trail.write([{"event": "A"}] * (ANCHOR_AT_LATEST - 1))
    assert not anchors_of(path).exists()
    trail.write([{"event": "A"}])
    assert len(anchors_of(path).read_text().splitlines()) == 1
    trail.close()


def test_two_processes_do_not_write_one_log(written, signer):
    trail = AuditTrail(written, signer)
    with pytest.raises(AuditBroken, match="another process"):
        AuditTrail(written, signer)
    trail.close()


def test_a_key_that_others_can_read_or_that_is_none_is_refused(tmp_path):
    path = tmp_path / "audit.key"
    signer = signer_at(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert signer_at(path).public == signer.public == public_key_at(tmp_path / "audit.pub")
    path.chmod(0o644)
    with pytest.raises(KeyRefused, match="read by others"):
        signer_at(path)
    path.chmod(0o600)
    path.write_text("no key")
    with pytest.raises(KeyRefused, match="no Ed25519"):
        signer_at(path)
    with pytest.raises(KeyRefused):
        public_key_at(path)


def test_a_signature_fits_one_text_and_one_key(tmp_path, signer):
    signature = signer.sign(b"a")
    assert is_signed(b"a", signature, signer.public)
    assert not is_signed(b"b", signature, signer.public)
    assert not is_signed(b"a", ("1" if signature[0] != "1" else "2") + signature[1:], signer.public)
    assert not is_signed(b"a", signature, signer_at(tmp_path / "other.key").public)
    assert not is_signed(b"a", "zz", signer.public)


def test_a_line_that_is_none_breaks_the_chain():
    with pytest.raises(ChainBroken, match="line 1"):
        followed(Head(), "nonsense\n")
