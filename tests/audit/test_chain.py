"""The chain of responsibility: followed by index, every gap told."""

import json

import pytest

from audit.canonical import canonical
from audit.chain import Landmarks, chain_of, closure, followers
from audit.commitment import Opening, commit
from audit.entry_form import digest_text
from audit.errors import LogCorruptError

PERSON = Opening("operator", b"u-17", bytes(32))
SNAPSHOT = digest_text(b"s" * 32)


def log():
    """A log in which every link of an intent is there."""
    request = {
        "party": "uscc:A", "managers": ["M"], "operator": digest_text(commit(PERSON)),
        "licence": 2, "pinned": 3, "policy": 5, "run": 6, "publication": 7,
    }  # fmt: skip
    pinned = {"actor": "console", "party": "uscc:A", "registration": 0}
    entries = [
        ("party_registered", {"actor": "console", "party": "uscc:A", "name": "甲机构"}),
        ("key_changed", {"actor": "console", "party": "op", "purpose": "authority", "key": "k1"}),
        ("licence_activated", pinned | {"signer": "k1"}),
        ("certificate_pinned", pinned),
        ("policy_approved", {"actor": "uscc:S", "signer": "k1"}),
        ("policy_activated", {"actor": "op", "approvals": [4]}),
        ("node_started", {"operator": "op"}),
        ("contract_published", {"actor": "op", "managers": ["M"]}),
        ("snapshot_admitted", {"actor": "console", "snapshot": SNAPSHOT}),
        ("intent", request | {"snapshot": SNAPSHOT}),
        ("batch", {"intent": 9}),
        ("batch", {"intent": 90}),
        ("outcome", {"intent": 9}),
        ("outcome", {"intent": 9}),
    ]
    return [
        canonical({"v": 1, "kind": kind, "time": at, "node": "n", **members})
        for at, (kind, members) in enumerate(entries)
    ]


def reader(bodies):
    def entry(index):
        if index >= len(bodies):
            raise LogCorruptError("it is not there", index)
        return bodies[index]

    return entry


def marks(bodies):
    landmarks = Landmarks()
    landmarks.take(enumerate(bodies))
    return landmarks


def changed(bodies, index, **members):
    entry = json.loads(bodies[index]) | members
    kept = {name: value for name, value in entry.items() if value is not None}
    return [*bodies[:index], canonical(kept), *bodies[index + 1 :]]


def walk(bodies, first=(9,), openings=lambda _: {}):
    return chain_of(first, reader(bodies), marks(bodies), openings)


def test_every_link_is_followed_and_every_step_names_an_organisation():
    chain = walk(log(), (9, 10, 12))
    assert sorted(step.index for step in chain.steps) == [*range(11), 12]
    assert chain.gaps == ()
    assert all(each.organisation for step in chain.steps for each in step.answerable)
    by_kind = {step.kind: step for step in chain.steps}
    assert by_kind["policy_approved"].member == "approvals of 5"
    assert by_kind["key_changed"].member == "signer of 2"
    assert by_kind["snapshot_admitted"].member == "snapshot of 9"
    user, manager = by_kind["intent"].answerable
    assert (user.organisation, user.name) == ("uscc:A", "甲机构")
    assert manager.organisation == "uscc:M"


def test_a_copy_for_use_abroad_leads_to_what_was_admitted_and_to_who_allowed_it():
    copy = digest_text(b"\x07" * 32)
    members = {"actor": "gateway", "snapshot": copy, "source": SNAPSHOT, "whitelists": []}
    bodies = log()
    bodies += [
        canonical({"v": 1, "kind": "border_copied", "time": 14, "node": "n", **members}),
        json.dumps(json.loads(bodies[9]) | {"snapshot": copy, "time": 15}).encode(),
    ]
    chain = walk(bodies, (15,))
    steps = {step.index: step for step in chain.steps}
    assert (steps[14].kind, steps[14].member) == ("border_copied", "snapshot of 15")
    assert (steps[8].kind, steps[8].member) == ("snapshot_admitted", "source of 14")


def test_the_person_is_a_commitment_until_it_is_opened():
    assert walk(log()).steps[0].answerable[0].person.startswith("committed to as ")
    opened = walk(log(), openings=lambda index: {"operator": PERSON} if index == 9 else {})
    assert opened.steps[0].answerable[0].person == "u-17"
    lie = Opening("operator", b"u-18", bytes(32))
    refused = walk(log(), openings=lambda index: {"operator": lie} if index == 9 else {})
    assert refused.steps[0].answerable[0].person == ""
    assert any("does not belong" in gap for gap in refused.gaps)


@pytest.mark.parametrize(
    ("change", "gap"),
    [
        ({"licence": 12}, "of its future"),
        ({"licence": 99}, "of its future"),
        ({"licence": 3}, "not a licence_activated"),
        ({"policy": None}, "cites no policy"),
        ({"run": None}, "cites no run"),
    ],
)
def test_a_gap_is_told(change, gap):
    assert any(gap in each for each in walk(changed(log(), 9, **change)).gaps)


def test_what_is_cited_and_not_there_is_told():
    bodies = log()
    _, _, gaps = closure([20], reader(bodies), marks(bodies))
    assert gaps == ["entry 20 () is not there"]


def test_followers_end_with_the_outcome():
    bodies = log()
    assert list(followers(9, enumerate(bodies[10:], 10))) == [10, 12]
