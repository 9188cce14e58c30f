"""What is looked at before a decision is written: its record, and what needs no transaction."""

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence

from audit.commitment import Opening
from gateway.domain.errors import InvalidRequestError, NotFoundError, Reason, XinguanError
from gateway.domain.product import Product
from gateway.registry.periods import lawful_periods
from gateway.repair.apply import Handed, Prepared
from gateway.repair.decision import Origin, RepairClaims
from gateway.repair.origins import IllegalDeletionError, check_competence, check_materials
from gateway.repair.precedence import check_precedence
from gateway.repair.record import Record, read_records
from gateway.snapshot.library import SnapshotLibrary

_LEEWAY_S = 300  # of an authority's clock ahead of ours


class Preparation:
    """Looks decisions and their records over. Owner: the event loop."""

    def __init__(self, library: SnapshotLibrary, products: Mapping[str, Product]) -> None:
        """Take the snapshots that are served and the catalogue."""
        self._library = library
        self._products = products

    def prepare(self, handed: Sequence[Handed]) -> list[Prepared | XinguanError]:
        """Return of each decision what is needed to write it, or why it is refused.

        Records of one product are looked up together: a look-up costs nearly the same for one
        record and for a hundred.
        """
        keys: defaultdict[str, set[str]] = defaultdict(set)
        for one in handed:
            keys[one.decision.claims.product].add(one.decision.claims.record_id)
        found = {product: self._look_up(product, some) for product, some in keys.items()}
        return [self._looked_over(one, found[one.decision.claims.product]) for one in handed]

    def _look_up(self, product: str, keys: set[str]) -> Mapping[str, Record] | XinguanError:
        contract = self._products.get(product)
        if contract is None:
            return {}
        try:
            snapshot = self._library.current(product)
        except XinguanError as damaged:
            return damaged
        return {} if snapshot is None else read_records(snapshot, contract, lawful_periods(), keys)

    def _looked_over(
        self, handed: Handed, records: Mapping[str, Record] | XinguanError
    ) -> Prepared | XinguanError:
        claims = handed.decision.claims
        try:
            check_competence(claims)
            if isinstance(records, XinguanError):
                return records
            record = records.get(claims.record_id)
            if record is None:
                return NotFoundError("NOT_FOUND", "no admitted record has this id (R25)")
            _check_signer(claims, record, handed.signer_party)
            check_materials(claims)
            check_precedence(claims, record.follows)
            _check_date(claims, handed.now)
        except XinguanError as refusal:
            return refusal
        opening = Opening("record", claims.record_id.encode(), os.urandom(32))
        return Prepared(handed, record, opening)


def _check_signer(claims: RepairClaims, record: Record, signer_party: str) -> None:
    """Check that a key other than the authority's signs for its own records only (M17).

    Raises:
        IllegalDeletionError: It doesn't.
    """
    own = claims.origin == Origin.SUBJECT and signer_party == f"uscc:{record.subject}"
    if signer_party and not own:
        raise IllegalDeletionError("this key signs only for records that its owner declared")


def _check_date(claims: RepairClaims, now: int) -> None:
    if claims.decided_at > now + _LEEWAY_S:
        raise InvalidRequestError(
            "DECIDED_IN_FUTURE",
            "the decision is dated after now",
            reasons=[Reason("R25", "DECIDED_IN_FUTURE")],
        )
