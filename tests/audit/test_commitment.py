"""Commitments hide, bind, and open one at a time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.commitment import (
    FieldProof,
    Opening,
    SubjectLabels,
    check_field,
    check_opening,
    commit,
    fields_root,
    prove_field,
    subject_label,
    subjects_value,
)
from audit.errors import ProofError

SALT = b"s" * 32
VALUES = {"name": b'["A"]', "status": b'["ok"]', "capital": b"[1]"}
SEED = b"e" * 32


def test_the_construction_stays_what_it_is():
    # SHA-256("xinguan/commitment/v1" 00 salt "operator" 00 "zhang"), computed apart.
    assert commit(Opening("operator", b"zhang", SALT)).hex() == (
        "1a3670557572782346d23170bde1054a5d8c431929d3298926da9a7d8e843162"
    )


@pytest.mark.parametrize(
    "other",
    [
        Opening("operator", b"li", SALT),
        Opening("case", b"zhang", SALT),
        Opening("operator", b"zhang", b"t" * 32),
    ],
)
def test_value_domain_and_salt_all_bind(other):
    commitment = commit(Opening("operator", b"zhang", SALT))
    check_opening(Opening("operator", b"zhang", SALT), commitment)
    with pytest.raises(ProofError):
        check_opening(other, commitment)


def test_domain_and_value_cannot_be_shifted():
    assert commit(Opening("a", b"bc", SALT)) != commit(Opening("ab", b"c", SALT))


def test_a_short_salt_is_refused():
    with pytest.raises(ProofError):
        commit(Opening("a", b"b", b"short"))
    with pytest.raises(ProofError):
        fields_root(VALUES, b"short")


@given(st.dictionaries(st.text(min_size=1), st.binary(), min_size=1, max_size=30))
def test_every_field_opens_alone(values):
    root = fields_root(values, SEED)
    for name in values:
        proof = prove_field(values, SEED, name)
        check_field(proof, root)
        assert proof.opening.value == values[name]


def test_a_field_opens_neither_with_another_value_nor_as_another_field():
    root = fields_root(VALUES, SEED)
    good = prove_field(VALUES, SEED, "status")
    lie = Opening("field", b'["bad"]', good.opening.salt)
    for bad in (
        FieldProof("status", lie, good.position, good.others),
        FieldProof("name", good.opening, good.position, good.others),
        FieldProof("status", good.opening, 0, good.others),
        FieldProof("status", good.opening, 9, good.others),
        FieldProof("status", good.opening, good.position, good.others[:1]),
        FieldProof("status", good.opening, good.position, (*good.others[:1], b"short")),
        FieldProof("status", good.opening, good.position, good.others[::-1]),
    ):
        with pytest.raises(ProofError):
            check_field(bad, root)
    with pytest.raises(ProofError):
        prove_field(VALUES, SEED, "missing")


def test_the_salt_of_one_field_says_nothing_of_the_others():
    salts = {prove_field(VALUES, SEED, name).opening.salt for name in VALUES}
    assert len(salts) == 3
    assert SEED not in salts


@given(st.text())
def test_many_labels_are_the_same_as_one(subject):
    labels = SubjectLabels(b"k" * 32)
    labels.of("another first")
    assert labels.of(subject) == subject_label(b"k" * 32, subject)


def test_subjects_are_a_set():
    assert subjects_value(["b", "a", "b"]) == b"a\nb"
    assert subject_label(b"k" * 32, "a") != subject_label(b"l" * 32, "a")
    assert len(subject_label(b"k" * 32, "a")) == 32
