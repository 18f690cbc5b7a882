import json
import re

import pytest

from domain.go_live import Governance, Role, Signature, SignedGovernance
from gates import governance
from gates.governance import GovernanceSigned, SigningRefused, governance_problem
from gates.stages import GOVERNANCE
from order_plane.gates import objections


@pytest.fixture
def written(context, holders, now):
    return governance.govern(context, holders, "no live trading on simulated evidence", now)


@pytest.fixture
def signed(context, written, holders, keys):
    for role, name in holders.items():
        made = governance.sign_governance(context, role, name, keys[role])
    return made


def test_the_governance_counts_when_all_three_have_signed(context, signed):
    assert governance_problem(context) == ""
    assert [each.role for each in signed.signatures] == list(Role)


def test_without_a_governance_none_is_signed(context):
    assert "there is no file" in governance_problem(context)


def test_each_missing_signature_is_named(context, written, holders, keys):
    governance.sign_governance(context, Role.CTO, holders[Role.CTO], keys[Role.CTO])
    problem = governance_problem(context)
    assert "the Risk Officer has not signed" in problem
    assert "the Lead Trader has not signed" in problem
    assert "CTO" not in problem


def test_signing_again_replaces_ones_own_signature(context, signed, holders, keys):
    again = governance.sign_governance(context, Role.CTO, holders[Role.CTO], keys[Role.CTO])
    assert len(again.signatures) == 3


def test_a_new_governance_takes_the_place_of_one_that_nobody_signed(context, written, holders, now):
    made = governance.govern(context, holders, "another policy", now)
    assert context.shelf.read(GOVERNANCE, SignedGovernance) == made != written


@pytest.mark.parametrize("readable", [True, False])
def test_a_signed_governance_is_never_replaced_and_it_is_said_who_signed(
    context, written, holders, now, keys, readable
):
    governance.sign_governance(context, Role.CTO, "Carl", keys[Role.CTO])
    path = context.shelf.directory / GOVERNANCE
    if not readable:
        path.write_text("{", "utf-8")
    before = path.read_bytes()
    with pytest.raises(GovernanceSigned, match="is signed by Carl as CTO" if readable else "cannot be read") as refusal:
        governance.govern(context, holders, "another policy", now)
    assert path.read_bytes() == before
    path.rename(re.search(r"move it to (\S+\.json)", str(refusal.value))[1])
    assert governance.govern(context, holders, "another policy", now).signatures == ()


@pytest.mark.parametrize("key", list(Role))
@pytest.mark.parametrize("role", list(Role))
def test_a_key_signs_only_in_its_own_role(context, written, holders, keys, role, key):
    if role is key:
        governance.sign_governance(context, role, holders[role], keys[key])
    else:
        with pytest.raises(SigningRefused, match=f"as that of the {role.value}"):
            governance.sign_governance(context, role, holders[role], keys[key])


def test_only_the_named_holder_signs(context, written, keys):
    with pytest.raises(SigningRefused, match="does not name Mallory"):
        governance.sign_governance(context, Role.CTO, "Mallory", keys[Role.CTO])


@pytest.mark.parametrize("name", sorted(Governance.model_fields))
def test_every_mutation_of_the_governance_is_noticed(context, signed, name, now):
    path = context.shelf.directory / GOVERNANCE
    document = json.loads(path.read_text("utf-8"))
    other = {
        "holders": {role.value: "Mallory" for role in Role},
        "policy": "anything",
        "agreed_at": "2027-01-01T00:00:00Z",
    }
    document["governance"][name] = other[name]
    path.write_text(json.dumps(document), "utf-8")
    assert governance_problem(context).count("does not fit what it signs") == 3


@pytest.mark.parametrize("name", sorted(Signature.model_fields))
def test_every_mutation_of_a_signature_is_noticed(signed, keys, name):
    signers = {role: key.public for role, key in keys.items()}
    first, second, third = signed.signatures
    changed = first.model_copy(update={name: getattr(second, name)})
    assert objections(signed.governance, (first, second, third), signers) == []
    assert objections(signed.governance, (changed, second, third), signers) != []


def test_a_signature_of_the_governance_is_none_of_another_document(signed, keys, now, holders):
    other = Governance(holders=holders, policy=signed.governance.policy, agreed_at=now)
    assert other == signed.governance  # the same content
    from domain.go_live import Review

    review = Review(record="ab" * 32, step=2, reviewed_at=now, findings="fine")
    signers = {role: key.public for role, key in keys.items()}
    assert len(objections(review, signed.signatures, signers)) == 3
    assert isinstance(signed, SignedGovernance)
