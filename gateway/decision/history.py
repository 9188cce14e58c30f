"""The decisions that stand in the log, and the inputs that they were made on."""

import hashlib
import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit.store import Reader
from gateway.decision.input import digest_of
from gateway.domain.decision import Decision
from gateway.domain.errors import ConflictError, NotFoundError, UnavailableError

_OF_REQUESTS = frozenset({"intent", "denial"})
_GATE = "GATE"


@dataclass(frozen=True, slots=True)
class Logged:
    """An intent or a denial, as far as replay needs it.

    Args:
        index: Log index.
        time: Unix seconds; the instant of the decision.
        product: Product asked about.
        party: Who asked.
        purpose: For what.
        subjects: How many subjects were asked about; 0 for the whole product.
        bundle: Digest of the bundle that decided, hex; empty when none is cited.
        input: Digest of the canonical input, hex; empty when none is cited.
        fields: Field name to action of an intent; None for a denial.
        reasons: (rule, code) pairs of a denial.
    """

    index: int
    time: int
    product: str
    party: str
    purpose: str
    subjects: int
    bundle: str
    input: str
    fields: Mapping[str, str] | None
    reasons: frozenset[tuple[str, str]]

    @property
    def decided(self) -> bool:
        """Whether a policy decision was made: it is cited, data left, or the law refused.

        A refusal by the gate alone (an unknown certificate, a malformed identifier) is not the
        policy's. A refusal by a rule is, even where an earlier version cited no input.
        """
        ruled = any(rule != _GATE for rule, _ in self.reasons)
        return bool(self.input) or self.fields is not None or ruled


def read_logged(index: int, body: bytes) -> Logged | None:
    """Return what an entry tells of a decision, or None when its kind tells of none.

    Raises:
        ValueError, KeyError, TypeError: It is not an entry of this schema.
    """
    entry: dict[str, Any] = json.loads(body)  # Any: values of a JSON object
    if entry["kind"] not in _OF_REQUESTS:
        return None
    groups = entry["fields"] if entry["kind"] == "intent" else None
    return Logged(
        index=index,
        time=entry["time"],
        product=entry.get("product", ""),
        party=entry.get("party", ""),
        purpose=entry.get("purpose", ""),
        subjects=entry.get("subject_count", 0),
        bundle=_hex(entry.get("bundle", "")),
        input=_hex(entry.get("input", "")),
        fields=None
        if groups is None
        else {name: action for action, names in groups.items() for name in names},
        reasons=frozenset((rule, code) for rule, code in entry.get("reasons", ())),
    )


def kept_input(connection: Reader, logged: Logged) -> bytes:
    """Return the canonical input that an entry cites.

    Raises:
        NotFoundError: `INPUT_MISSING`: none is cited, or it is not in the state.
        ConflictError: `INPUT_TAMPERED`: what is kept there has another digest.
    """
    return input_of(connection, logged.input)


def input_of(connection: Reader, digest: str) -> bytes:
    """Return the canonical input of this digest (hex); raises as `kept_input`."""
    query = "SELECT body FROM decision_inputs WHERE digest = ?"
    row = connection.execute(query, (digest,)).fetchone()
    if row is None:
        raise NotFoundError("INPUT_MISSING", "the input of this decision is not kept")
    document = bytes(row[0])
    if digest_of(document) != digest:
        raise ConflictError("INPUT_TAMPERED", "the kept input has another digest than the log says")
    return document


def check_record(logged: Logged, decision: Decision) -> None:
    """Compare a decision with what the log recorded when the same bundle decided the same input.

    A denial by the gate after an allow (a quota, a key used before) agrees with an allow.

    Raises:
        ConflictError: `DIVERGED`; the log, the kept input or the engine is not what it was.
    """
    if logged.fields is not None:
        actions = {name: action.value for name, action in decision.actions.items()}
        same = decision.allow and actions == dict(logged.fields)
    elif decision.allow:
        same = all(rule == _GATE for rule, _ in logged.reasons)
    else:
        same = _pairs(decision) == logged.reasons
    if not same:
        raise ConflictError("DIVERGED", "deciding again gives another outcome than the log records")


def check_leaf(leaf_hash: bytes, body: bytes) -> None:
    """Compare an entry with its leaf hash (RFC 6962).

    Raises:
        UnavailableError: `ENTRY_TAMPERED`.
    """
    if hashlib.sha256(b"\0" + body).digest() != leaf_hash:
        raise UnavailableError("ENTRY_TAMPERED", "an entry has another hash than the log says")


def runs_of(indices: Sequence[int]) -> list[tuple[int, int]]:
    """Return ascending indices as runs: (first, last), both inclusive."""
    runs: list[tuple[int, int]] = []
    for index in indices:
        if runs and index == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], index)
        else:
            runs.append((index, index))
    return runs


def _pairs(decision: Decision) -> frozenset[tuple[str, str]]:
    return frozenset((reason.rule, reason.code) for reason in decision.reasons)


def _hex(digest: str) -> str:
    return urlsafe_b64decode(digest + "=").hex() if digest else ""
