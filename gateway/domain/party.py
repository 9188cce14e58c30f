"""Organisations known to the gateway, and the certificates that speak for them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.domain.errors import InvalidRequestError
from gateway.domain.identifiers import parse_lei, parse_registry_number, parse_uscc
from gateway.domain.vocabulary import Role, Status

_PARSERS: Mapping[str, Callable[[str], str]] = {
    "uscc": parse_uscc,
    "lei": parse_lei,
    "reg": parse_registry_number,
}
SAN_PREFIX = "urn:xinguan:party:"


def parse_party_id(text: str) -> str:
    """Return a party id in canonical form: `uscc:...`, `lei:...` or `reg:CC:...`.

    Raises:
        InvalidRequestError: `BAD_ID` for an unknown scheme or a wrong check digit.
    """
    scheme, _, value = text.strip().partition(":")
    parser = _PARSERS.get(scheme.lower())
    if parser is None:
        raise InvalidRequestError("BAD_ID", "a party id starts with uscc:, lei: or reg:CC:")
    return f"{scheme.lower()}:{parser(value)}"


@dataclass(frozen=True, slots=True)
class Party:
    """One registered organisation.

    Args:
        party_id: Canonical id, see `parse_party_id`.
        name: Name as registered.
        role: What it is to the gateway.
        jurisdiction: ISO 3166 code; HK, MO and TW count as outside for export.
        status: Whether its calls are accepted at all.
        index: Log index of the entry that registered or last changed it.
    """

    party_id: str
    name: str
    role: Role
    jurisdiction: str
    status: Status
    index: int

    @property
    def san(self) -> str:
        """The URI that its certificates carry as subject alternative name."""
        return SAN_PREFIX + self.party_id


@dataclass(frozen=True, slots=True)
class Certificate:
    """A pinned certificate of a party.

    Args:
        fingerprint: SHA-256 of the subject public key info, hex: the pin.
        party_id: Whose it is.
        not_before: Unix seconds.
        not_after: Unix seconds, inclusive.
        status: ACTIVE or REVOKED.
        index: Log index of the act that pinned it.
    """

    fingerprint: str
    party_id: str
    not_before: int
    not_after: int
    status: Status
    index: int


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is on the line: the party and the pinned certificate it came with."""

    party: Party
    certificate: Certificate
