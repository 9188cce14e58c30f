"""What can be told of a leaked copy; see `gateway.trace.tracer`."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery that held records of the copy.

    Args:
        intent: Log index of its intent.
        request: Its request id.
        party: Who received it.
        time: Unix seconds.
        product: Product name.
        rows: How many rows of the copy it held.
        how: What names it: `text`, `rows`, `fields`; empty when nothing does.
        bound: Bound on the chance that it is named wrongly; 1 when nothing names it.
    """

    intent: int
    request: str
    party: str
    time: int
    product: str
    rows: int
    how: tuple[str, ...] = ()
    bound: float = 1.0


@dataclass(frozen=True, slots=True)
class PartyFound:
    """A party that single rows name together.

    Args:
        party: The party.
        matched: Rows whose order of fields is that of one of its deliveries.
        compared: Rows that were compared.
        bound: Bound on the chance that it is named wrongly.
    """

    party: str
    matched: int
    compared: int
    bound: float


@dataclass(frozen=True, slots=True)
class Traced:
    """What can be told of a copy.

    Args:
        verdict: `named`, `cannot_tell` (deliveries held its records, no mark names one) or
            `unknown` (no delivery across the border held anything of it).
        named: Deliveries that it came from, the surest first.
        parties: Parties that single rows name together.
        candidates: Deliveries that held some of its records and that nothing names.
        rows: Rows in the copy.
        known: Rows whose subject stood in a copy for use abroad.
        misplaced: Request ids of genuine marks in it whose deliveries held none of its records.
        forged: Marks in it that the key didn't make.
        compared: Deliveries that were compared.
    """

    verdict: str
    named: Sequence[Delivery]
    parties: Sequence[PartyFound]
    candidates: Sequence[Delivery]
    rows: int
    known: int
    misplaced: Sequence[str]
    forged: int
    compared: int
