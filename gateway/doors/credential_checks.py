"""What the desk of credentials asks of a caller, a query and an answer; each check raises."""

from gateway.credential import book
from gateway.credential.book import Kept
from gateway.credential.encoding import object_from_json
from gateway.credential.errors import CredentialError
from gateway.credential.jws import Jwk, public_members
from gateway.domain.errors import DeniedError, InvalidRequestError, NotFoundError
from gateway.domain.party import Caller
from gateway.domain.vocabulary import Role
from gateway.release.batches import ReleasedBatch
from gateway.store.migration import Statements
from xinguan.v1 import exchange_pb2

_LONGEST_JWK = 1_024


def subjects_of(query: exchange_pb2.QueryRequest) -> tuple[str, ...]:
    """Return the subjects of a query, as they came."""
    return tuple(query.subjects)


def check_form(query: exchange_pb2.QueryRequest) -> None:
    """Check that a query asks for all of one record, so that nothing is left out by choice.

    Raises:
        InvalidRequestError: `BAD_REQUEST`.
    """
    if len(query.subjects) != 1:
        raise InvalidRequestError("BAD_REQUEST", "a credential is about one subject")
    if query.conditions or query.limit:
        raise InvalidRequestError("BAD_REQUEST", "a credential has no conditions and no limit")


def check_holder(caller: Caller, subject: str) -> None:
    """Check that a caller is one that credentials are made for; what it gets, the policy decides.

    Raises:
        DeniedError: `CREDENTIAL_NOT_FOR_YOU`.
    """
    own = caller.party.party_id == f"uscc:{subject}"
    if caller.party.role is not Role.CROSS_BORDER_PARTNER and not own:
        raise DeniedError(
            "CREDENTIAL_NOT_FOR_YOU",
            "credentials are issued to partners across the border and to the enterprise itself",
        )


def read_holder_key(text: str) -> Jwk | None:
    """Return the holder's public key, or None when the credential is bound to nobody.

    Raises:
        InvalidRequestError: `BAD_REQUEST`.
    """
    if not text:
        return None
    try:
        if len(text) > _LONGEST_JWK:
            raise InvalidRequestError("BAD_REQUEST", "the holder's key is too long")
        return public_members(object_from_json(text.encode()))
    except CredentialError:
        raise InvalidRequestError(
            "BAD_REQUEST", "the holder's key is a public JWK: P-256 or Ed25519"
        ) from None


def find_own(state: Statements, credential_id: str, caller: Caller) -> Kept:
    """Return a credential that was issued to the caller.

    Raises:
        NotFoundError: `NOT_FOUND`; somebody else's is nobody's.
    """
    found = book.find(state, credential_id)
    if found is None or found.party_id != caller.party.party_id:
        raise NotFoundError("NOT_FOUND", "no such credential was issued to you")
    return found


def one_record(batch: ReleasedBatch | None) -> ReleasedBatch:
    """Return a batch of exactly one record.

    Raises:
        NotFoundError: `NOTHING_TO_ATTEST` when there is none to show, whatever the reason.
        InvalidRequestError: `SEVERAL_RECORDS`.
    """
    if batch is None or not batch.batch.num_rows:
        raise NotFoundError("NOTHING_TO_ATTEST", "there is no record to make a credential of")
    if batch.batch.num_rows > 1:
        raise InvalidRequestError("SEVERAL_RECORDS", "a credential is made of a single record")
    return batch
