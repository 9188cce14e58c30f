"""The policy's answer, and nothing of how it was reached."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.domain.errors import Reason
from gateway.domain.request import Condition
from gateway.domain.vocabulary import FieldAction


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision on one request. The same for every instant in [valid_from, valid_until).

    Args:
        allow: True when anything at all may leave.
        reasons: Every reason of a denial; on an allow, reasons for single fields dropped.
        actions: Field name to action for each field asked for.
        row_predicates: Conditions that every released row meets, as data.
        obligations: Names of duties: `label_dispute`, `coverage`, `shuffle` and the like.
        rules: Rule ids that fired, sorted.
        valid_from: Unix seconds, inclusive.
        valid_until: Unix seconds, exclusive.
        input_digest: SHA-256 of the canonical input, hex.
        bundle_digest: SHA-256 of the policy bundle, hex.
        digest: Digest of the answer in normal form (`gateway.decision.normal`), hex.
    """

    allow: bool
    reasons: tuple[Reason, ...]
    actions: Mapping[str, FieldAction]
    row_predicates: tuple[Condition, ...]
    obligations: frozenset[str]
    rules: tuple[str, ...]
    valid_from: int
    valid_until: int
    input_digest: str
    bundle_digest: str
    digest: str
