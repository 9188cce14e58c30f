"""Which identifiers name the same enterprise, and how a request names its subject by any of them.

An identifier that nobody registered is told from one without records by nothing: it becomes a
subject that no record has.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from audit.journal import Transaction
from audit.store import Reader
from gateway.domain.errors import ConflictError, InvalidRequestError
from gateway.domain.identifiers import parse_lei, parse_registry_number, parse_uscc
from gateway.recognition.claims import EquivalenceClaims, IdentifiersClaims

LEI = "lei"


@dataclass(frozen=True, slots=True)
class Named:
    """An enterprise as a request names it.

    Args:
        scheme: `uscc`, `lei` or an ISO 3166 code.
        value: The identifier in canonical form.
    """

    scheme: str
    value: str


def parse_identifier(text: str) -> Named:
    """Return what a text names: `uscc:...`, a bare USCC, `lei:...` or `reg:CC:NUMBER`.

    Raises:
        InvalidRequestError: `BAD_ID` for an unknown scheme or a wrong check digit.
    """
    scheme, colon, rest = text.strip().partition(":")
    if not colon:
        return Named("uscc", parse_uscc(scheme))
    if scheme.lower() == "uscc":
        return Named("uscc", parse_uscc(rest))
    if scheme.lower() == LEI:
        return Named(LEI, parse_lei(rest))
    if scheme.lower() == "reg":
        country, _, number = parse_registry_number(rest).partition(":")
        return Named(country, number)
    raise InvalidRequestError("BAD_ID", "a subject is named by uscc:, lei: or reg:CC:")


def resolve(reader: Reader, named: Named, now: int) -> str:
    """Return the USCC that an identifier stands for.

    Returns:
        The USCC; for an identifier that is not registered, a text that no record has.
    """
    if named.scheme == "uscc":
        return named.value
    row = reader.execute(
        "SELECT uscc FROM identifier_equivalents"
        " WHERE scheme = ? AND value = ? AND not_before <= ?",
        (named.scheme, named.value, now),
    ).fetchone()
    return f"{named.scheme}:{named.value}" if row is None else str(row[0])


def equivalents(reader: Reader, uscc: str, now: int) -> Mapping[str, str]:
    """Return every other identifier of an enterprise: `lei` or a country to its value."""
    rows = reader.execute(
        "SELECT scheme, value FROM identifier_equivalents WHERE uscc = ? AND not_before <= ?"
        " ORDER BY scheme, value",
        (uscc, now),
    ).fetchall()
    return {str(scheme): str(value) for scheme, value in rows}


class IdentifierBook:
    """Looks identifiers up. Thread-safe; its reading connection is its own."""

    def __init__(self, reader: Reader) -> None:
        """Take the connection; `close` closes it."""
        self._reader = reader
        self._lock = threading.Lock()

    def resolve(self, text: str, now: int) -> str:
        """Return the USCC that a text stands for, or a text that no record has.

        Raises:
            InvalidRequestError: `BAD_ID`.
        """
        named = parse_identifier(text)
        with self._lock:
            return resolve(self._reader, named, now)

    def equivalents(self, uscc: str, now: int) -> Mapping[str, str]:
        """Return every other identifier of an enterprise."""
        with self._lock:
            return equivalents(self._reader, uscc, now)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._reader.close()


def write(tx: Transaction, claims: IdentifiersClaims, *, withdrawn: bool) -> None:
    """Put the entries of a register's version in the place of those of its earlier one.

    Raises:
        ConflictError: `CONFLICT` when another register gives an identifier to another enterprise.
    """
    newest: int | None = tx.execute(
        "SELECT max(version) FROM recognition_documents"
        " WHERE register = 'identifiers' AND name = ? AND effect_index IS NOT NULL",
        (claims.register_id,),
    ).fetchone()[0]
    if newest is not None and newest > claims.version:
        return
    tx.execute("DELETE FROM identifier_equivalents WHERE name = ?", (claims.register_id,))
    if withdrawn:
        return
    for entry in claims.entries:
        for scheme, value in _others(entry):
            known = tx.execute(
                "SELECT uscc FROM identifier_equivalents WHERE scheme = ? AND value = ?",
                (scheme, value),
            ).fetchone()
            if known is not None and known[0] != entry.uscc:
                raise ConflictError("CONFLICT", "an identifier names another enterprise already")
            tx.execute(
                "INSERT INTO identifier_equivalents (scheme, value, uscc, name, not_before)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT (scheme, value) DO NOTHING",
                (scheme, value, entry.uscc, claims.register_id, claims.not_before),
            )


def _others(entry: EquivalenceClaims) -> list[tuple[str, str]]:
    numbers = [number.partition(":") for number in entry.numbers]
    lei = [(LEI, entry.lei)] if entry.lei else []
    return [*lei, *((country, number) for country, _, number in numbers)]
