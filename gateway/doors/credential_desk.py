"""Issuing: what the road released takes the form of a credential before it is handed over.

(1) who may have credentials at all: a partner across the border, the enterprise itself
(2) the road: `Exchange.release`, with its decision and its evidence; nothing is read here
(3) one record, its values as the road released them, in the form of a credential: signed
(4) outcome, place, status and entry in one transaction, unless the subject's records changed
    meanwhile
(5) handed over while the gate still holds the batch
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from audit.store import Reader
from gateway.credential.book import Kept
from gateway.credential.issuer import Issuer
from gateway.domain.errors import (
    InvalidRequestError,
    NotSupportedError,
    XinguanError,
    defect,
)
from gateway.domain.party import Caller
from gateway.domain.recognition import Mode
from gateway.doors.ask import Ask
from gateway.doors.credential_checks import (
    check_form,
    check_holder,
    find_own,
    one_record,
    read_holder_key,
    subjects_of,
)
from gateway.doors.credential_form import CredentialForm, Workshop
from gateway.identity.peer import identify
from gateway.release.evidence import Promised
from gateway.release.part import Part
from gateway.release.pipeline import Exchange
from gateway.release.world import World
from xinguan.v1 import exchange_pb2


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller asks for.

    Args:
        query: The query whose answer the credential is.
        holder: Public key of the holder, JWK as text; empty for nobody's.
        replaces: Id of an earlier credential of the caller, or empty.
    """

    query: exchange_pb2.QueryRequest
    holder: str = ""
    replaces: str = ""


@dataclass(frozen=True, slots=True)
class Issued:
    """A credential that may leave now.

    Args:
        part: What the road released; `confirm` it right before the hand-over.
        text: The credential.
        kept: What the book has of it.
        list_uri: Where its status is.
        fields: What it discloses one by one.
        entry: The promise of the entry of its issue.
    """

    part: Part
    text: str
    kept: Kept
    list_uri: str
    fields: tuple[str, ...]
    entry: Promised


class CredentialDesk:
    """Issues credentials and tells what became of them."""

    def __init__(
        self,
        exchange: Exchange,
        world: World,
        reader: Reader,
        workshop: Workshop | None,
        applied: Callable[[], int],
    ) -> None:
        """Take the road and what is beside it.

        Args:
            exchange: The road.
            world: Registry and clock.
            reader: Reads the state; its maker closes it.
            workshop: What credentials are made with, or None where none are issued.
            applied: Number of the newest change of a record that has taken effect here.
        """
        self._exchange = exchange
        self._world = world
        self._reader = reader
        self._workshop = workshop
        self._applied = applied

    @property
    def issuer(self) -> Issuer:
        """The issuer.

        Raises:
            NotSupportedError: `CREDENTIALS_OFF` where none are issued.
        """
        return self._opened().issuer

    async def issue(self, peer: bytes, wanted: Wanted) -> AsyncGenerator[Issued, None]:
        """Issue one credential; it is handed over before the iterator is asked again.

        Args:
            peer: The caller's certificate, PEM.
            wanted: What it asks for.

        Yields:
            The credential, once.

        Raises:
            XinguanError: A refusal.
        """
        workshop = self._opened()
        caller = self._caller(peer)
        check_form(wanted.query)
        check_holder(caller, wanted.query.subjects[0])  # (1)
        holder = read_holder_key(wanted.holder)
        self._check_replaced(wanted, caller)
        # Changes up to here are in whatever is filtered from now on; later ones are looked for.
        form = CredentialForm(workshop, holder, wanted.replaces, self._applied())
        ask = Ask(wanted.query, max_subjects=1, mode=Mode.CREDENTIAL)
        async with aclosing(self._exchange.release(peer, ask, form)) as parts:  # (2) to (4)
            async for part in parts:
                try:
                    issued = _issued(workshop.issuer, part, form)
                except XinguanError as error:
                    # The road's outcome stands in the log; the receipt is found by this.
                    error.request_id = error.request_id or part.delivery.trail.request_id
                    raise
                yield issued  # (5)

    def status(self, peer: bytes, credential_id: str) -> Kept:
        """Return a credential that was issued to the caller.

        Raises:
            NotFoundError: `NOT_FOUND`; somebody else's is nobody's.
        """
        return find_own(self._reader, credential_id, self._caller(peer))

    def _caller(self, peer: bytes) -> Caller:
        return identify(peer, self._world.registry.view(), self._world.clock_ms() // 1000)

    def _opened(self) -> Workshop:
        if self._workshop is None:
            raise NotSupportedError("CREDENTIALS_OFF", "this gateway issues no credentials")
        return self._workshop

    def _check_replaced(self, wanted: Wanted, caller: Caller) -> None:
        if not wanted.replaces:
            return
        old = find_own(self._reader, wanted.replaces, caller)
        if (old.product, (old.subject,)) != (wanted.query.product, subjects_of(wanted.query)):
            raise InvalidRequestError(
                "BAD_REQUEST", "the credential to be replaced is about something else"
            )


def _issued(issuer: Issuer, part: Part, form: CredentialForm) -> Issued:
    one_record(part.batch)
    made, closing = form.made, part.closing
    if made is None or closing is None or closing.form is None:
        raise defect()
    uri = issuer.list_url(made.kept.where.number)
    return Issued(part, made.text, made.kept, uri, made.fields, closing.form)
