"""Volumes that an exporter sent outside of this gateway, as it declares them itself.

The thresholds bind all that an exporter exports; the gate sees its own part. A declaration is
signed with the exporter's registered document key, says as of when, and replaces the one before
it. Its number is added to the gate's own: who is in both is counted twice, never too little.
"""

from dataclasses import dataclass
from typing import Final, Literal

from pydantic import Field

from audit import entries
from audit.journal import Transaction
from gateway.border.counters_law import CountClass, CountLaw, export_year
from gateway.border.counters_ledger import raise_levels
from gateway.domain.errors import ConflictError, DeniedError, InvalidRequestError
from gateway.domain.vocabulary import Status
from gateway.registry import document_keys, parties
from gateway.registry.act import Act
from gateway.registry.alarms import raise_alarm
from gateway.registry.documents import Claims, verify
from gateway.registry.licences import Instant, PartyId

DECLARATION_TYPE: Final = "xinguan-export-declaration+jwt"
_MOST: Final = 10**10
_COLUMNS: Final = "exporter, year, class, version, persons, as_of, signer, document, log_index"


class DeclarationClaims(Claims):
    """What an exporter states."""

    v: Literal[1] = 1
    exporter: PartyId
    year: int = Field(ge=2020, le=2200)
    kind: Literal["ordinary", "sensitive"]
    version: int = Field(ge=1, le=2**31)
    persons: int = Field(ge=0, le=_MOST)
    as_of: Instant


@dataclass(frozen=True, slots=True)
class Declaration:
    """A declaration that was accepted.

    Args:
        claims: What it says.
        signer: Key id of the exporter's key.
        index: Log index of its entry.
    """

    claims: DeclarationClaims
    signer: str
    index: int


def declare(tx: Transaction, document: str, act: Act, law: CountLaw) -> Declaration:
    """Accept a signed declaration, add it to the counts and log it.

    Args:
        tx: The transaction.
        document: The signed document.
        act: The circumstances.
        law: The levels of alarms.

    Raises:
        BadDocumentError: `BAD_DOCUMENT`.
        BadSignatureError: `BAD_SIGNATURE`.
        DeniedError: `ROLE_FORBIDDEN` when another than the exporter signed it.
        InvalidRequestError: `BAD_REQUEST` for a time in the future or in another year.
        ConflictError: `CONFLICT` when it isn't the next version or is older than the last.
    """
    verified = verify(
        document,
        lambda key: document_keys.active_public_key(tx, key),
        DECLARATION_TYPE,
        DeclarationClaims,
    )
    claims = verified.claims
    signer = parties.find(tx, document_keys.find(tx, verified.signer).party_id)
    if signer.party_id != claims.exporter or signer.status is not Status.ACTIVE:
        raise DeniedError("ROLE_FORBIDDEN", "an exporter declares its own volumes, nobody else's")
    if claims.as_of > act.now or export_year(claims.as_of) != claims.year:
        raise InvalidRequestError(
            "BAD_REQUEST", "as_of lies in the future, or not in the year that is declared"
        )
    last = latest(tx, claims.exporter, claims.year, claims.kind)
    version, persons, as_of = (0, 0, 0) if last is None else last
    if claims.version != version + 1 or claims.as_of < as_of:
        raise ConflictError(
            "CONFLICT", "it is not the version after the last, or is as of an earlier time"
        )
    appended = tx.append(
        entries.export_declared(
            time=act.now,
            node=act.node,
            actor=act.actor,
            exporter=claims.exporter,
            year=claims.year,
            kind=claims.kind,
            version=claims.version,
            persons=claims.persons,
            as_of=claims.as_of,
            signer=verified.signer,
            document=verified.digest,
        )
    )
    declaration = Declaration(claims, verified.signer, appended.index)
    _store(tx, declaration, verified.token)
    if claims.persons < persons:
        # A correction is lawful; whoever supervises should know that a count fell.
        raise_alarm(
            tx,
            rule="R63",
            code="EXPORT_DECLARATION_LOWERED",
            now=act.now,
            node=act.node,
            actor=claims.exporter,
            records=claims.persons,
            cause=appended.index,
            document=verified.digest,
        )
    _add(tx, declaration, law, act)
    return declaration


def latest(tx: Transaction, exporter: str, year: int, kind: str) -> tuple[int, int, int] | None:
    """Return version, persons and as-of of the declaration that holds, or None."""
    row: tuple[int, int, int] | None = tx.execute(
        "SELECT version, persons, as_of FROM export_declarations"
        " WHERE exporter = ? AND year = ? AND class = ? ORDER BY version DESC LIMIT 1",
        (exporter, year, kind),
    ).fetchone()
    return row


def next_version(tx: Transaction, exporter: str, year: int, kind: str) -> int:
    """Return the number that the next declaration must have."""
    last = latest(tx, exporter, year, kind)
    return 1 if last is None else last[0] + 1


def _store(tx: Transaction, declaration: Declaration, token: str) -> None:
    claims = declaration.claims
    tx.execute(
        f"INSERT INTO export_declarations ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            claims.exporter,
            claims.year,
            claims.kind,
            claims.version,
            claims.persons,
            claims.as_of,
            declaration.signer,
            token,
            declaration.index,
        ),
    )


def _add(tx: Transaction, declaration: Declaration, law: CountLaw, act: Act) -> None:
    claims = declaration.claims
    account = (claims.exporter, claims.year, CountClass(claims.kind).value)
    row = tx.execute(
        "SELECT own, declared FROM export_counts WHERE exporter = ? AND year = ? AND class = ?",
        account,
    ).fetchone()
    own, declared = (0, 0) if row is None else row
    tx.execute(
        "INSERT INTO export_counts (exporter, year, class, own, declared, log_index)"
        " VALUES (?, ?, ?, 0, ?, ?) ON CONFLICT (exporter, year, class)"
        " DO UPDATE SET declared = excluded.declared, log_index = excluded.log_index",
        (*account, claims.persons, declaration.index),
    )
    before, after = own + declared, own + claims.persons
    raise_levels(tx, law, account, before, after, act.now, act.node, declaration.index)
