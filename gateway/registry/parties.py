"""Organisations: registered once, suspended and resumed, never deleted (R30, R81)."""

import re
from dataclasses import dataclass, replace

from audit import entries
from audit.journal import Transaction
from gateway.domain.errors import ConflictError, InvalidRequestError, NotFoundError
from gateway.domain.party import Party, parse_party_id
from gateway.domain.vocabulary import Role, Status
from gateway.registry.act import Act, raise_version
from gateway.store.upsert import upsert

COLUMNS = "party_id, name, role, jurisdiction, status, log_index"
_COUNTRY = re.compile(r"[A-Z]{2}")
_MAX_NAME_CHARACTERS = 200
_HOME = "CN"
_ROLES = frozenset(role.value for role in Role)


@dataclass(frozen=True, slots=True)
class Registration:
    """An organisation to be registered, checked.

    Args:
        party_id: Canonical id, see `gateway.domain.party.parse_party_id`.
        name: Name as registered.
        role: What it is to the gateway.
        jurisdiction: ISO 3166 code.
    """

    party_id: str
    name: str
    role: Role
    jurisdiction: str


def registration(party_id: str, name: str, role: str, jurisdiction: str = "") -> Registration:
    """Return a checked registration.

    Args:
        party_id: `uscc:...`, `lei:...` or `reg:CC:...`.
        name: Name as registered.
        role: A word of `Role`.
        jurisdiction: ISO 3166 code; may be empty where the id implies it.

    Raises:
        InvalidRequestError: `BAD_ID` for a malformed id, `BAD_REQUEST` for the rest.
    """
    canonical = parse_party_id(party_id)
    if role not in _ROLES:
        raise InvalidRequestError(
            "BAD_REQUEST", "the role is not one of: " + ", ".join(sorted(_ROLES))
        )
    country = jurisdiction.strip().upper() or _implied_jurisdiction(canonical)
    if not _COUNTRY.fullmatch(country):
        raise InvalidRequestError(
            "BAD_REQUEST", "a jurisdiction is a two-letter ISO 3166 code; an LEI needs one"
        )
    if role == Role.CROSS_BORDER_PARTNER and country == _HOME:
        raise InvalidRequestError("BAD_REQUEST", "a cross-border partner is outside CN (R67)")
    if role == Role.REGIONAL_PARTNER and country != _HOME:
        raise InvalidRequestError("BAD_REQUEST", "a regional partner is inside CN (R67)")
    clean = name.strip()
    if not clean or len(clean) > _MAX_NAME_CHARACTERS or not clean.isprintable():
        raise InvalidRequestError("BAD_REQUEST", "a name has 1 to 200 printable characters")
    return Registration(canonical, clean, Role(role), country)


def register(tx: Transaction, wanted: Registration, act: Act) -> Party:
    """Register an organisation and log it.

    Raises:
        ConflictError: `CONFLICT` when it is registered already.
    """
    if _row(tx, wanted.party_id) is not None:
        raise ConflictError("CONFLICT", "this organisation is registered already")
    party = Party(
        wanted.party_id, wanted.name, wanted.role, wanted.jurisdiction, Status.ACTIVE, index=-1
    )
    return _write(tx, party, act)


def suspend(tx: Transaction, party_id: str, act: Act) -> Party:
    """Refuse every call of an organisation from now on, whatever its licences.

    Raises:
        NotFoundError: `NOT_FOUND`.
        ConflictError: `CONFLICT` when it is suspended already.
    """
    return _set_status(tx, party_id, Status.SUSPENDED, act)


def resume(tx: Transaction, party_id: str, act: Act) -> Party:
    """End a suspension.

    Raises:
        NotFoundError: `NOT_FOUND`.
        ConflictError: `CONFLICT` when it is not suspended.
    """
    return _set_status(tx, party_id, Status.ACTIVE, act)


def find(tx: Transaction, party_id: str) -> Party:
    """Return a registered organisation.

    Raises:
        NotFoundError: `NOT_FOUND`.
    """
    row = _row(tx, party_id)
    if row is None:
        raise NotFoundError(
            "NOT_FOUND", "no such organisation", hints=("register it: xinguan party add",)
        )
    return from_row(row)


def from_row(row: tuple[str, str, str, str, str, int]) -> Party:
    """Return the party in a row of `COLUMNS`."""
    party_id, name, role, jurisdiction, status, index = row
    return Party(party_id, name, Role(role), jurisdiction, Status(status), index)


def _set_status(tx: Transaction, party_id: str, status: Status, act: Act) -> Party:
    party = find(tx, party_id)
    if party.status is status:
        raise ConflictError("CONFLICT", "the organisation has this status already")
    return _write(tx, replace(party, status=status), act)


def _write(tx: Transaction, party: Party, act: Act) -> Party:
    appended = tx.append(
        entries.party_registered(
            time=act.now,
            node=act.node,
            actor=act.actor,
            party=party.party_id,
            name=party.name,
            role=party.role.value,
            jurisdiction=party.jurisdiction,
            status=party.status.value,
        )
    )
    tx.execute(
        upsert("parties", f"{COLUMNS}, changed", "party_id"),
        (
            party.party_id,
            party.name,
            party.role.value,
            party.jurisdiction,
            party.status.value,
            appended.index,
            raise_version(tx),
        ),
    )
    return replace(party, index=appended.index)


def _row(tx: Transaction, party_id: str) -> tuple[str, str, str, str, str, int] | None:
    sql = f"SELECT {COLUMNS} FROM parties WHERE party_id = ?"
    row: tuple[str, str, str, str, str, int] | None = tx.execute(sql, (party_id,)).fetchone()
    return row


def _implied_jurisdiction(party_id: str) -> str:
    scheme, _, rest = party_id.partition(":")
    return {"uscc": _HOME, "reg": rest[:2]}.get(scheme, "")
