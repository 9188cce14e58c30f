"""Who may decide what about which records (R29), as data: `policies/data/repair_origins.json`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from gateway.decision.tables import read_table
from gateway.domain.errors import DeniedError, InvalidRequestError, Reason
from gateway.registry.periods import POLICIES
from gateway.repair.decision import Origin, RepairClaims, Verdict

# 22号: an application is proof of fulfilment and a commitment, nothing else (M31, R2A).
PERMITTED_MATERIALS = frozenset({"FULFILMENT_PROOF", "CREDIT_COMMITMENT"})


@dataclass(frozen=True, slots=True)
class Competence:
    """What an origin may decide.

    Args:
        verdicts: The verdicts it may give.
        products: The products it may give them on; empty for every product.
    """

    verdicts: frozenset[Verdict]
    products: frozenset[str]


class IllegalDeletionError(DeniedError):
    """`ILLEGAL_DELETION` (R29): the change doesn't come from where changes may come from."""

    def __init__(self, message: str) -> None:
        """Keep the one reason."""
        super().__init__("ILLEGAL_DELETION", message, reasons=[Reason("R29", "ILLEGAL_DELETION")])


@lru_cache(maxsize=1)
def competences() -> Mapping[str, Competence]:
    """Return the table that ships with the policies, read once.

    Raises:
        ValueError: When it is malformed or an origin of `Origin` is missing from it.
    """
    table = read_table(POLICIES / "data", "repair_origins")
    return {
        origin: Competence(
            frozenset(Verdict(word) for word in _words(table[origin], "verdicts")),
            frozenset(_words(table[origin], "products")),
        )
        for origin in Origin
    }


def check_competence(claims: RepairClaims) -> None:
    """Check that the decision comes from where such a change may come from (R29).

    Raises:
        IllegalDeletionError: The origin is outside the table, or not competent for this.
    """
    competence = competences().get(claims.origin)
    if competence is None:
        raise IllegalDeletionError("no change of a record comes from this origin")
    if claims.verdict not in competence.verdicts:
        raise IllegalDeletionError("this origin doesn't give this verdict")
    if competence.products and claims.product not in competence.products:
        raise IllegalDeletionError("this origin doesn't decide on records of this product")


def check_materials(claims: RepairClaims) -> None:
    """Check that nobody was asked for more than two kinds of material (R2A).

    Raises:
        InvalidRequestError: `EXCESS_MATERIALS`.
    """
    if not set(claims.materials) <= PERMITTED_MATERIALS:
        raise InvalidRequestError(
            "EXCESS_MATERIALS",
            "a repair asks for proof of fulfilment and a commitment, and for nothing else",
            reasons=[Reason("R2A", "EXCESS_MATERIALS")],
        )


def _words(entry: Mapping[str, object], key: str) -> list[str]:
    words = entry.get(key)
    if not isinstance(words, list):
        raise TypeError(f"{key}: a list of words is expected")
    return [str(word) for word in words]
