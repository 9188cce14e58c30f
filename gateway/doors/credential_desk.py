"""Issuing: what the road released takes the form of a credential before it is handed over.

(1) who may have credentials at all: a partner across the border, the enterprise itself
(2) the road: `Exchange.release`, with its decision and its evidence; nothing is read here
(3) one record, its values as the road released them
(4) place, status and entry in one transaction, unless the subject's records changed meanwhile
(5) signed; handed over while the gate still holds the batch
"""

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from audit import entries
from audit.commitment import Opening, commit
from audit.errors import AuditUnavailableError
from audit.journal import Appended, Journal, Transaction
from audit.openings import OpeningStore
from audit.store import Reader
from gateway.credential import book
from gateway.credential.book import Kept
from gateway.credential.encoding import Object, to_json
from gateway.credential.field_json import json_values
from gateway.credential.freshness import content_of
from gateway.credential.issuer import Issuer
from gateway.credential.jws import Jwk
from gateway.credential.mint import Head, claim_name, mint
from gateway.credential.sd_jwt import digest_of
from gateway.credential.status_list import CredentialStatus
from gateway.domain.errors import (
    InvalidRequestError,
    NotSupportedError,
    UnavailableError,
    XinguanError,
)
from gateway.domain.party import Caller
from gateway.domain.recognition import Mode
from gateway.doors.ask import Ask
from gateway.doors.credential_checks import (
    check_form,
    check_holder,
    check_unchanged,
    find_own,
    one_record,
    read_holder_key,
    subjects_of,
)
from gateway.identity.peer import identify
from gateway.registry.act import Act
from gateway.release.delivery import Part
from gateway.release.pipeline import Exchange
from gateway.release.world import World
from gateway.replicas.changes import newest
from xinguan.v1 import exchange_pb2

RENEWED = "RENEWED"
_ID_BYTES = 16


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
        appended: The entry of its issue.
    """

    part: Part
    text: str
    kept: Kept
    list_uri: str
    fields: tuple[str, ...]
    appended: Appended


class CredentialDesk:
    """Issues credentials and tells what became of them."""

    def __init__(
        self,
        exchange: Exchange,
        world: World,
        journal: Journal,
        reader: Reader,
        openings: OpeningStore,
        issuer: Issuer | None,
        *,
        origin: str,
    ) -> None:
        """Take the road and what is beside it.

        Args:
            exchange: The road.
            world: Registry and clock.
            journal: The one writer.
            reader: Reads the state; its maker closes it.
            openings: Keeps what opens the commitments of entries.
            issuer: The issuer, or None where no credentials are issued.
            origin: Name of the log.
        """
        self._exchange = exchange
        self._world = world
        self._journal = journal
        self._reader = reader
        self._openings = openings
        self._issuer = issuer
        self._origin = origin

    @property
    def issuer(self) -> Issuer:
        """The issuer.

        Raises:
            NotSupportedError: `CREDENTIALS_OFF` where none are issued.
        """
        if self._issuer is None:
            raise NotSupportedError("CREDENTIALS_OFF", "this gateway issues no credentials")
        return self._issuer

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
        issuer = self.issuer
        caller = self._caller(peer)
        check_form(wanted.query)
        check_holder(caller, wanted.query.subjects[0])  # (1)
        holder = read_holder_key(wanted.holder)
        seen = self._prepare(wanted, caller)
        ask = Ask(wanted.query, max_subjects=1, mode=Mode.CREDENTIAL)
        async with aclosing(self._exchange.release(peer, ask)) as parts:  # (2)
            async for part in parts:
                try:
                    made = await self._make(issuer, part, wanted, holder, seen)
                except XinguanError as error:
                    # The road's outcome stands in the log; the receipt is found by this.
                    error.request_id = error.request_id or part.delivery.trail.request_id
                    raise
                yield made  # (5)

    def status(self, peer: bytes, credential_id: str) -> Kept:
        """Return a credential that was issued to the caller.

        Raises:
            NotFoundError: `NOT_FOUND`; somebody else's is nobody's.
        """
        return find_own(self._reader, credential_id, self._caller(peer))

    def _caller(self, peer: bytes) -> Caller:
        return identify(peer, self._world.registry.view(), self._world.clock_ms() // 1000)

    def _prepare(self, wanted: Wanted, caller: Caller) -> int:
        """Look at the credential that is to be replaced; return the newest change of a record."""
        if wanted.replaces:
            old = find_own(self._reader, wanted.replaces, caller)
            if (old.product, (old.subject,)) != (wanted.query.product, subjects_of(wanted.query)):
                raise InvalidRequestError(
                    "BAD_REQUEST", "the credential to be replaced is about something else"
                )
        return newest(self._reader)

    async def _make(
        self, issuer: Issuer, part: Part, wanted: Wanted, holder: Jwk | None, seen: int
    ) -> Issued:
        batch = one_record(part.batch)  # (3)
        delivery, settings = part.delivery, issuer.settings
        now = self._world.clock_ms() // 1000
        credential_id = os.urandom(_ID_BYTES).hex()
        names = map(claim_name, batch.batch.schema.names)
        fields = dict(zip(names, json_values(batch.batch), strict=True))
        columns = delivery.prepared.plan.columns
        content = content_of(credential_id, delivery.snapshot.take(batch.rows, columns))
        licence, caller = delivery.facts.licence, delivery.trail.caller
        ends = [now + settings.validity_s, batch.first_end]
        ends += [licence.not_after, licence.agreement.not_after] if licence else []
        subject = delivery.facts.request.subjects[0]
        kind = issuer.type_of(delivery.facts.product.name)
        release = _release(part, self._origin)

        def job(tx: Transaction) -> tuple[Appended, Kept, str]:  # (4)
            check_unchanged(tx, subject, seen)
            where = book.draw(tx, settings.list_entries)
            head = Head(
                issuer=settings.issuer,
                credential_id=credential_id,
                kind=kind.url,
                integrity=kind.integrity,
                issued_at=now,
                expires_at=min(ends),
                list_uri=issuer.list_url(where.number),
                place=where.place,
                release=release,
                holder=holder,
            )
            text = mint(issuer.signer, head, fields, decoys=settings.decoys)
            opening = Opening("credential", _committed(head, text), os.urandom(32))
            appended = tx.append(
                entries.credential_issued(
                    time=now,
                    node=self._world.node.name,
                    intent=delivery.intent.index,
                    product=delivery.facts.product.name,
                    credential=commit(opening),
                    fields=len(fields),
                    expires=head.expires_at,
                    bound=holder is not None,
                )
            )
            self._openings.record(tx, appended.index, {"credential": opening}, ())
            kept = Kept(
                credential_id=credential_id,
                where=where,
                party_id=caller.party.party_id if caller else "",
                product=delivery.facts.product.name,
                subject=subject,
                snapshot=delivery.snapshot.origin,
                columns=columns,
                content=content,
                issued_at=now,
                expires_at=head.expires_at,
                log_index=appended.index,
                status=CredentialStatus.VALID,
                status_at=now,
            )
            book.enter(tx, kept)
            if wanted.replaces:
                self._supersede(tx, wanted.replaces, kept.party_id, kept.product, now)
            return appended, kept, text

        try:
            # Without the state's signal: nothing of this is watched by others, but the lists,
            # which are looked at all the time.
            appended, kept, text = await self._journal.submit(job)
        except AuditUnavailableError:
            raise UnavailableError(
                "AUDIT_UNAVAILABLE", "the audit log can't be written; nothing left"
            ) from None
        uri = issuer.list_url(kept.where.number)
        return Issued(part, text, kept, uri, tuple(fields), appended)

    def _supersede(
        self, tx: Transaction, credential_id: str, party_id: str, product: str, now: int
    ) -> None:
        changed = book.change_status(tx, [credential_id], CredentialStatus.REFRESH, now)
        if not changed:
            return
        act = Act(now, self._world.node.name, party_id)
        tx.append(
            entries.credential_status(
                time=act.now,
                node=act.node,
                actor=act.actor,
                product=product,
                status=CredentialStatus.REFRESH.name,
                reason=RENEWED,
                count=changed,
            )
        )


def _release(part: Part, origin: str) -> Object:
    """Return what every reader of the credential may know of the answer that it is a form of."""
    delivery = part.delivery
    border = delivery.facts.border
    whitelist = None if border is None else border.whitelist
    return {
        "log": origin,
        "intent": delivery.intent.index,
        "policy": delivery.decision.bundle_digest,
        "contract": delivery.facts.product.version,
        "as_of": delivery.snapshot.manifest.as_of,
        "obligations": sorted(delivery.decision.obligations),
        **({} if whitelist is None else {"whitelist": whitelist.version}),
        **({"mechanism": whitelist.mechanism} if whitelist and whitelist.mechanism else {}),
    }


def _committed(head: Head, text: str) -> bytes:
    """Return what the entry of an issue commits to."""
    return to_json(
        {
            "id": head.credential_id,
            "digest": digest_of(text),
            "list": head.list_uri,
            "place": head.place,
        }
    )
