"""Whose publicity prevails for a record, as data: `policies/data/publicity_authorities.json`.

R11 as domain-rules 13 corrects it: records follow Credit China, but those of market regulation
follow the enterprise publicity system, and judgement debtors the court's own list. So what one
publicity authority says about a record that follows another is no ground to withhold it or to
let it out. A repair or a withdrawal is another matter: whoever is competent for it (R29) decides
it for the record wherever that is shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute

from gateway.decision.tables import read_table
from gateway.domain.errors import ConflictError, Reason
from gateway.registry.periods import POLICIES
from gateway.repair.decision import Origin, RepairClaims, Verdict

pc: Any = pyarrow.compute  # the published stubs lag behind pyarrow and are wrong in places
_OF_PUBLICITY = frozenset({Verdict.HOLD, Verdict.RELEASE})


@dataclass(frozen=True, slots=True)
class Precedence:
    """Which publicity authority the records of one product follow.

    Args:
        default: The one that most of them follow.
        column: Column that exceptions look at, or empty.
        exceptions: Part of a text in that column, and whom such records follow instead; the
            first that fits holds.
    """

    default: str
    column: str
    exceptions: tuple[tuple[str, str], ...]

    @property
    def authorities(self) -> frozenset[str]:
        """Every authority that any record of the product follows."""
        return frozenset({self.default, *(follows for _, follows in self.exceptions)})

    def followed_by(self, value: str | None) -> str:
        """Return the authority that a record with this value in the column follows."""
        for part, follows in self.exceptions:
            if part in (value or ""):
                return follows
        return self.default

    def follow(self, values: Any, authority: str) -> Any:
        """Return for each value of the column whether its record follows an authority.

        Args:
            values: The column, a string array.
            authority: One of `authorities`.
        """
        following: Any = pa.repeat(pa.scalar(self.default == authority), len(values))
        decided: Any = pa.repeat(pa.scalar(False), len(values))
        for part, follows in self.exceptions:
            fits = pc.fill_null(pc.match_substring(values, part), False)
            fresh = pc.and_not(fits, decided)
            following = pc.if_else(fresh, pa.scalar(follows == authority), following)
            decided = pc.or_(decided, fits)
        return following


@lru_cache(maxsize=1)
def precedences() -> Mapping[str, Precedence]:
    """Return the table that ships with the policies, by product, read once.

    Raises:
        ValueError: It is malformed or names an authority that is no origin (R29).
    """
    return {
        product: _precedence(product, entry)
        for product, entry in read_table(POLICIES / "data", "publicity_authorities").items()
    }


def precedence_of(product: str) -> Precedence | None:
    """Return the precedence of a product's records, or None where publicity binds none."""
    return precedences().get(product)


def check_precedence(claims: RepairClaims, follows: str) -> None:
    """Check that a decision about agreement with publicity is the prevailing authority's.

    The unit that made the determination may hold its own records and release them again.

    Args:
        claims: The decision.
        follows: The authority that the record follows, or empty.

    Raises:
        ConflictError: `OUTRANKED` (R11).
    """
    if claims.verdict not in _OF_PUBLICITY or claims.origin == Origin.AUTHORITY:
        return
    if follows and claims.origin != follows:
        raise ConflictError(
            "OUTRANKED",
            "another publicity authority prevails for this record (R11)",
            reasons=[Reason("R11", "OUTRANKED")],
        )


def _precedence(product: str, entry: Mapping[str, Any]) -> Precedence:
    found = Precedence(
        str(entry["follows"]),
        str(entry["column"]),
        tuple((str(e["contains"]), str(e["follows"])) for e in entry["exceptions"]),
    )
    if not found.authorities <= set(Origin) or (found.exceptions and not found.column):
        raise ValueError(f"publicity_authorities.{product}: not a table of origins")
    return found
