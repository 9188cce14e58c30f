"""Issued reports: a number and keyed digests, so that whoever is shown one can have it confirmed.

The register keeps no field of a report and not its digest either, only a tag under a key of the
node: whoever reads the database learns that an enterprise had a report and nothing of what it
says. A report turns from VALID to REFRESH in the transaction of a decision about a record of a
product that it shows (domain-rules 4.4, 13), when a newer snapshot of one is served, and at the
end of its time. REFRESH says that a fresh one can be had; nothing says why.
"""

import hmac
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes

from audit import entries
from audit.journal import Transaction
from audit.store import Reader
from gateway.registry.act import Act
from gateway.store.migration import Statements

VALID, REFRESH = "VALID", "REFRESH"
SHA256, SM3 = "sha256", "sm3"
DIGEST_BYTES = 32
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: nothing to misread
_NUMBER_LENGTH = 20  # a hundred random bits
_KEY_DOMAIN = b"xinguan/report-digest-key/v1"
_TAG_DOMAIN = b"xinguan/report-digest/v1\x00"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an issued report stands.

    Args:
        status: VALID or REFRESH.
        valid_until: End of its time, unix seconds.
        tags: Algorithm to the keyed digest, hex.
    """

    status: str
    valid_until: int
    tags: Mapping[str, str]


def tag_key(index_key: bytes) -> bytes:
    """Return the key under which digests of reports are kept."""
    return hmac.digest(index_key, _KEY_DOMAIN, "sha256")


def tag(key: bytes, report_no: str, algorithm: str, digest: bytes) -> str:
    """Return what the register keeps of a digest, hex."""
    told = _TAG_DOMAIN + algorithm.encode() + b"\x00" + report_no.encode() + b"\x00" + digest
    return hmac.digest(key, told, "sha256").hex()


def digests(document: bytes) -> dict[str, bytes]:
    """Return a report's digests by algorithm."""
    found = {}
    for name, algorithm in ((SHA256, hashes.SHA256()), (SM3, hashes.SM3())):
        digest = hashes.Hash(algorithm)
        digest.update(document)
        found[name] = digest.finalize()
    return found


def new_number() -> str:
    """Return a number that nobody can guess."""
    return "XG-" + "".join(secrets.choice(_ALPHABET) for _ in range(_NUMBER_LENGTH))


def issue(
    tx: Transaction,
    *,
    report_no: str,
    subject: str,
    tags: Mapping[str, str],
    sections: Mapping[str, str],
    intents: Collection[int],
    valid_until: int,
    act: Act,
) -> int:
    """Register a report and log it.

    Args:
        tx: The transaction.
        report_no: Its number.
        subject: Whom it is about.
        tags: Algorithm to the keyed digest.
        sections: Product to the id of the snapshot that was read.
        intents: Log indexes of the intents of its sections.
        valid_until: End of its time, unix seconds.
        act: The circumstances; the actor is who receives it.

    Returns:
        The log index of the entry.
    """
    appended = tx.append(
        entries.report_issued(
            time=act.now,
            node=act.node,
            actor=act.actor,
            report=report_no,
            intents=sorted(intents),
            valid_until=valid_until,
        )
    )
    tx.execute(
        "INSERT INTO issued_reports (report_no, subject, sha256_tag, sm3_tag, issued_at,"
        " valid_until, refreshed_at, log_index) VALUES (?, ?, ?, ?, ?, ?, NULL, ?)",
        (report_no, subject, tags[SHA256], tags[SM3], act.now, valid_until, appended.index),
    )
    for product, snapshot_id in sections.items():
        tx.execute(
            "INSERT INTO report_sections (report_no, subject, product, snapshot_id)"
            " VALUES (?, ?, ?, ?)",
            (report_no, subject, product, snapshot_id),
        )
    return appended.index


def refresh(tx: Statements, subject: str, products: Collection[str], now: int) -> None:
    """Turn the reports about a subject that show one of these products to REFRESH."""
    marks = ",".join("?" * len(products))
    tx.execute(
        "UPDATE issued_reports SET refreshed_at = ? WHERE refreshed_at IS NULL AND report_no IN"
        f" (SELECT report_no FROM report_sections WHERE subject = ? AND product IN ({marks}))",
        (now, subject, *products),
    )


def standing(
    reader: Reader, report_no: str, now: int, current: Callable[[str], str | None]
) -> Standing | None:
    """Return where a report stands, or None for a number that was never given.

    Args:
        reader: Reads the state.
        report_no: The number.
        now: Unix seconds.
        current: Product to the id of the snapshot that is served now, or None.
    """
    row = reader.execute(
        "SELECT sha256_tag, sm3_tag, valid_until, refreshed_at FROM issued_reports"
        " WHERE report_no = ?",
        (report_no,),
    ).fetchone()
    if row is None:
        return None
    sections = reader.execute(
        "SELECT product, snapshot_id FROM report_sections WHERE report_no = ?", (report_no,)
    ).fetchall()
    same = all(current(product) == snapshot_id for product, snapshot_id in sections)
    valid = same and row[3] is None and now < row[2]
    tags = {SHA256: str(row[0]), SM3: str(row[1])}
    return Standing(VALID if valid else REFRESH, int(row[2]), tags)
