"""Salted commitments: the log can prove a value later without telling it now.

A commitment is SHA-256(tag, salt, domain, value) with a fresh 32-byte salt, so a
guess of a low-entropy value (an identifier, a name) cannot be confirmed without the salt.
Salts live outside the log (`audit.openings`) and can be destroyed there.

A small answer commits to all of its fields with one root: the hash of one leaf per field, in
order of name. Opening a field tells the leaves of the others, which say nothing of their
values. The salts of the fields derive from one seed and are told one by one, so that opening
one field leaves the others closed.
"""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256, shake_256
from typing import TYPE_CHECKING, Final

from audit.errors import ProofError

if TYPE_CHECKING:
    from hashlib import _Hash as Hash  # the type of what `sha256` returns has no public name

SALT_BYTES: Final = 32
_TAG: Final = b"xinguan/commitment/v1\0"
_LEAF_TAG: Final = b"xinguan/field/v1\0"
_ROOT_TAG: Final = b"xinguan/fields/v1\0"
_LEAF_BYTES: Final = 32
_SALT_TAG: Final = b"xinguan/field-salt/v1\0"
_LABEL_TAG: Final = b"xinguan/subject/v1"
_SNAPSHOT_TAG: Final = b"xinguan/snapshot/v1"
_DELIVERY_TAG: Final = b"xinguan/delivery/v1\0"
_SUBJECTS_TAG: Final = b"xinguan/subjects/v1\0"


@dataclass(frozen=True, slots=True)
class Opening:
    """What opens a commitment; as secret as the value.

    Args:
        domain: What kind of value it is (`operator`, `case`, `subjects`), ASCII.
        value: The bytes committed to.
        salt: 32 fresh random bytes.
    """

    domain: str
    value: bytes
    salt: bytes


@dataclass(frozen=True, slots=True)
class FieldProof:
    """Opens one field of an answer whose entry holds only the root.

    Args:
        name: Name of the field.
        opening: Value and salt of this field.
        position: Position of the field among all fields in order of name.
        others: Leaves of the other fields in order of name, 32 bytes each.
    """

    name: str
    opening: Opening
    position: int
    others: tuple[bytes, ...]


def commit(opening: Opening) -> bytes:
    """Compute the commitment to a value.

    Args:
        opening: Domain, value and salt.

    Returns:
        32 bytes for the log.

    Raises:
        ProofError: The salt is not 32 bytes.
    """
    if len(opening.salt) != SALT_BYTES:
        raise ProofError("a salt must have 32 bytes")
    return _hash(opening.domain.encode(), opening.salt, opening.value)


def check_opening(opening: Opening, commitment: bytes) -> None:
    """Check that an opening belongs to a commitment.

    Raises:
        ProofError: It does not.
    """
    if not hmac.compare_digest(commit(opening), commitment):
        raise ProofError("the opening does not belong to the commitment")


def delivery_digest(batches: Iterable[bytes] = ()) -> "Hash":
    """Begin the digest of a delivery: SHA-256 over a tag and the digests of its batches.

    Args:
        batches: Digests of batches in the order of the stream; more can follow with `update`.
    """
    digest = sha256(_DELIVERY_TAG)
    for each in batches:
        digest.update(each)
    return digest


def subjects_value(subjects: Sequence[str]) -> bytes:
    """Encode a set of subjects for one commitment: sorted, each once, one a line."""
    return "\n".join(sorted(set(subjects))).encode()


def commit_subjects(subjects: Sequence[str], salts: bytes) -> tuple[Opening, tuple[bytes, ...]]:
    """Commit to several subjects so that each can be opened, or forgotten, by itself.

    The value of the opening is a tag and the commitments to the single subjects in their own
    order, which says nothing of the subjects; so it can be kept when one of them is forgotten.

    Args:
        subjects: Distinct identifiers, at least two.
        salts: Fresh random bytes, 32 for each subject and 32 more.

    Returns:
        The opening of the whole, and what opens each subject in the order given: its salt and
        behind it the identifier.
    """
    # `commit` of each, written out and without an object for each: a portfolio has thousands.
    tag, domain = _TAG, b"subject\0"
    opened: list[bytes] = []
    leaves: list[bytes] = []
    for at, subject in zip(range(0, len(salts), SALT_BYTES), subjects, strict=False):
        salt, value = salts[at : at + SALT_BYTES], subject.encode()
        opened.append(salt + value)
        leaves.append(sha256(tag + salt + domain + value).digest())
    leaves.sort()
    whole = _SUBJECTS_TAG + b"".join(leaves)
    return Opening("subjects", whole, salts[len(subjects) * SALT_BYTES :]), tuple(opened)


def subject_leaves(value: bytes) -> tuple[bytes, ...] | None:
    """Return the commitments to single subjects in the value of `commit_subjects`.

    Returns:
        32 bytes each; None when the value is that of `subjects_value`.
    """
    if not value.startswith(_SUBJECTS_TAG):
        return None
    rest = value[len(_SUBJECTS_TAG) :]
    return tuple(rest[at : at + SALT_BYTES] for at in range(0, len(rest), SALT_BYTES))


def snapshot_label(index_key: bytes, snapshot: str) -> bytes:
    """Compute the keyed label under which requests for a whole snapshot are found.

    Args:
        index_key: Secret key of the index, 32 bytes.
        snapshot: Snapshot id, hexadecimal.
    """
    return hmac.digest(index_key, _SNAPSHOT_TAG + snapshot.encode(), "sha256")


def subject_label(index_key: bytes, subject: str) -> bytes:
    """Compute the keyed label under which a subject's entries are found.

    Args:
        index_key: Secret key of the index, 32 bytes.
        subject: The subject's identifier.

    Returns:
        32 bytes; nobody without the key can compute or recognise it.
    """
    return hmac.digest(index_key, _LABEL_TAG + subject.encode(), "sha256")


class SubjectLabels:
    """Computes many labels under one key; the same as `subject_label`, at half its cost.

    Args:
        index_key: Secret key of the index, 32 bytes.
    """

    __slots__ = ("_begun",)

    def __init__(self, index_key: bytes) -> None:
        self._begun = hmac.new(index_key, _LABEL_TAG, "sha256")

    def of(self, subject: str) -> bytes:
        """Compute the label of a subject, 32 bytes."""
        label = self._begun.copy()
        label.update(subject.encode())
        return label.digest()


def fields_root(values: Mapping[str, bytes], seed: bytes) -> bytes:
    """Commit to every field of a small answer.

    Args:
        values: Field name to the canonical bytes of its values.
        seed: 32 fresh random bytes; keep them to open fields later.

    Returns:
        The root, 32 bytes.
    """
    stream = _salts(seed, len(values))
    return _root(
        [
            _leaf(name, stream[at * SALT_BYTES : (at + 1) * SALT_BYTES], values[name])
            for at, name in enumerate(sorted(values))
        ]
    )


def prove_field(values: Mapping[str, bytes], seed: bytes, name: str) -> FieldProof:
    """Open one field of an answer and none of the others.

    Args:
        values: All fields, as they were committed to.
        seed: The seed of their salts.
        name: The field to open.

    Raises:
        ProofError: The answer has no such field.
    """
    if name not in values:
        raise ProofError("the answer has no such field")
    openings = _field_openings(values, seed)
    leaves = [_field_leaf(*each) for each in openings]
    position = sorted(values).index(name)
    others = (*leaves[:position], *leaves[position + 1 :])
    return FieldProof(name, openings[position][1], position, others)


def check_field(proof: FieldProof, root: bytes) -> None:
    """Check an opened field against the root in the log.

    Raises:
        ProofError: The field or its value was not what was committed to.
    """
    if not 0 <= proof.position <= len(proof.others) or any(
        len(leaf) != _LEAF_BYTES for leaf in proof.others
    ):
        raise ProofError("the proof of the field is malformed")
    leaves = list(proof.others)
    leaves.insert(proof.position, _field_leaf(proof.name, proof.opening))
    if not hmac.compare_digest(_root(leaves), root):
        raise ProofError("the field is not what was committed to")


def _field_openings(values: Mapping[str, bytes], seed: bytes) -> list[tuple[str, Opening]]:
    """Give each field, in order of name, its own part of the stream that the seed begins."""
    stream = _salts(seed, len(values))
    return [
        (name, Opening("field", values[name], stream[at * SALT_BYTES : (at + 1) * SALT_BYTES]))
        for at, name in enumerate(sorted(values))
    ]


def _salts(seed: bytes, count: int) -> bytes:
    """Return the salts of so many fields, one after the other."""
    if len(seed) != SALT_BYTES:
        raise ProofError("a seed must have 32 bytes")
    return shake_256(_SALT_TAG + seed).digest(SALT_BYTES * count)


def _hash(domain: bytes, salt: bytes, value: bytes) -> bytes:
    """Compute a commitment.

    The salt stands first and has one length, so that no other domain and value give the same
    bytes; whoever lacks it can confirm no guess.
    """
    return sha256(_TAG + salt + domain + b"\0" + value).digest()


def _field_leaf(name: str, opening: Opening) -> bytes:
    return _leaf(name, opening.salt, opening.value)


def _root(leaves: Sequence[bytes]) -> bytes:
    return sha256(_ROOT_TAG + b"".join(leaves)).digest()


def _leaf(name: str, salt: bytes, value: bytes) -> bytes:
    """Compute the leaf of a field: a commitment to its name and values."""
    return sha256(_LEAF_TAG + salt + name.encode() + b"\0" + value).digest()
