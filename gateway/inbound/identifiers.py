"""Identifiers of foreign firms: kinds as data, shapes and check digits as their registers do.

A firm is known here by one text, `lei:…` where it has an LEI and else `reg:CC:NUMBER`, the forms
that party ids have. The kinds are those of `policies/data/foreign_identifiers.json`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from stdnum import exceptions, lei
from stdnum.sg import uen
from stdnum.th import moa
from stdnum.vn import mst

from gateway.decision.tables import read_table
from gateway.domain.identifiers import MalformedIdentifierError, parse_lei, parse_registry_number
from gateway.inbound.errors import ForeignDocumentError
from gateway.registry.periods import POLICIES

LEI = "LEI"
_CHECKS: Mapping[str, Callable[[str], object]] = {
    "lei": lei.validate,
    "sg.uen": uen.validate,
    "th.moa": moa.validate,
    "vn.mst": mst.validate,
}


@dataclass(frozen=True, slots=True)
class IdentifierKind:
    """One kind of identifier.

    Args:
        name: `LEI`, or country and register.
        pattern: Its shape.
        check: Name of its check, or empty when its register has none.
        country: ISO 3166 code of its register, or empty for a worldwide one.
    """

    name: str
    pattern: re.Pattern[str]
    check: str
    country: str

    def accepts(self, text: str) -> bool:
        """Say whether shape and check digits are right."""
        if not self.pattern.fullmatch(text):
            return False
        try:
            return not self.check or bool(_CHECKS[self.check](text))
        except exceptions.ValidationError:
            return False


@lru_cache(maxsize=1)
def identifier_kinds() -> Mapping[str, IdentifierKind]:
    """Return the kinds by name, read once.

    Raises:
        ValueError: When the table names a check that this program doesn't have.
    """
    kinds = {}
    for name, entry in read_table(POLICIES / "data", "foreign_identifiers").items():
        check, country = str(entry.get("check", "")), str(entry.get("country", ""))
        if check and check not in _CHECKS:
            raise ValueError(f"foreign_identifiers.{name}: unknown check")
        kinds[name] = IdentifierKind(name, re.compile(str(entry["pattern"])), check, country)
    return kinds


def canonical_identifier(kind: str, text: str) -> str:
    """Return an identifier as it is written here.

    Raises:
        ForeignDocumentError: `FOREIGN_IDENTIFIER` for an unknown kind, a wrong shape or digit.
    """
    known = identifier_kinds().get(kind)
    canonical = text.strip().upper()
    if known is None or not known.accepts(canonical):
        raise ForeignDocumentError(
            "FOREIGN_IDENTIFIER", "an identifier of the firm has a wrong shape or check digit"
        )
    return canonical


def subject_of(identifiers: Mapping[str, str]) -> str:
    """Return the text that a firm is known by: its LEI, or else its first local number.

    Args:
        identifiers: Kind to canonical identifier; at least one.
    """
    if LEI in identifiers:
        return f"lei:{identifiers[LEI]}"
    kind = min(identifiers)
    return f"reg:{identifier_kinds()[kind].country}:{identifiers[kind]}"


def parse_foreign_id(text: str) -> str:
    """Return the firm that a request names: `lei:…` or `reg:CC:NUMBER`.

    Raises:
        MalformedIdentifierError: `BAD_ID` when it is neither, or its check digits are wrong.
    """
    scheme, _, value = text.strip().partition(":")
    if scheme.lower() == "lei":
        return f"lei:{parse_lei(value)}"
    if scheme.lower() == "reg":
        canonical = parse_registry_number(value)
        country, _, number = canonical.partition(":")
        kinds = [kind for kind in identifier_kinds().values() if kind.country == country]
        if any(kind.accepts(number) for kind in kinds):
            return f"reg:{canonical}"
    raise MalformedIdentifierError(
        "BAD_ID", "a foreign firm is named by lei:… or reg:CC:NUMBER of a known register"
    )
