"""Where an organisation can be asked what it still shows: declared by it, checked here."""

from urllib.parse import urlsplit

from audit import entries
from audit.journal import Transaction
from gateway.domain.errors import InvalidRequestError
from gateway.registry import parties
from gateway.registry.act import Act
from gateway.store.migration import Statements
from gateway.strangers import is_loopback

_LONGEST = 300


def check_url(url: str, *, loopback: bool) -> str:
    """Return an endpoint's address in the form that is kept.

    Args:
        url: What the organisation declared.
        loopback: Allow plain HTTP to this machine; development only, since elsewhere it would let
            an organisation have the gateway call the machine's own services.

    Raises:
        InvalidRequestError: `BAD_REQUEST`: not HTTPS, or with a user, a fragment or a space.
    """
    clean = url.strip()
    fault = InvalidRequestError(
        "BAD_REQUEST",
        "an endpoint is an https address of up to 300 characters, without user and fragment",
    )
    try:
        parts = urlsplit(clean)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise fault from None
    plain = clean.isascii() and clean.isprintable() and " " not in clean and "\\" not in clean
    if not plain or len(clean) > _LONGEST or not host or parts.username is not None:
        raise fault
    if parts.fragment or port == 0:
        raise fault
    if parts.scheme == "https" or (parts.scheme == "http" and loopback and is_loopback(host)):
        return clean
    raise fault


def declare(tx: Transaction, party_id: str, url: str, act: Act) -> int:
    """Keep where an organisation can be asked, and log it; return the log index.

    Args:
        tx: The transaction.
        party_id: The organisation.
        url: As `check_url` returned it; empty to take the endpoint back.
        act: The circumstances; the organisation itself or the console.

    Raises:
        NotFoundError: `NOT_FOUND` when the organisation is not registered.
    """
    parties.find(tx, party_id)
    appended = tx.append(
        entries.endpoint_declared(
            time=act.now, node=act.node, actor=act.actor, party=party_id, endpoint=url
        )
    )
    tx.execute(
        "INSERT INTO verification_endpoints (party_id, url, log_index) VALUES (?, ?, ?)"
        " ON CONFLICT (party_id) DO UPDATE SET url = excluded.url, log_index = excluded.log_index",
        (party_id, url, appended.index),
    )
    return appended.index


def endpoint_of(state: Statements, party_id: str) -> str:
    """Return where an organisation can be asked, or an empty text."""
    row = state.execute(
        "SELECT url FROM verification_endpoints WHERE party_id = ?", (party_id,)
    ).fetchone()
    return "" if row is None else str(row[0])
