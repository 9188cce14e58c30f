"""A credential as a form of one answer: made while the gate holds what it rests on."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from audit import entries
from audit.canonical import encode_entry
from audit.commitment import Opening, commit
from audit.journal import Posting, Row, Rows
from audit.openings import OpeningStore
from gateway.credential import book
from gateway.credential.book import Kept
from gateway.credential.encoding import Object, to_json
from gateway.credential.field_json import json_values
from gateway.credential.freshness import content_of
from gateway.credential.issuer import Issuer
from gateway.credential.jws import Jwk
from gateway.credential.mint import Head, claim_name, mint
from gateway.credential.places import Places
from gateway.credential.sd_jwt import digest_of
from gateway.credential.status_list import CredentialStatus
from gateway.doors.credential_ledger import Issue, IssueLedger
from gateway.release.batches import ReleasedBatch
from gateway.release.delivery import Delivery
from gateway.release.form import Beside
from gateway.release.world import World

_ID_BYTES, _SALT_BYTES = 16, 32


@dataclass(frozen=True, slots=True)
class Workshop:
    """What all credentials of a process are made with.

    Args:
        issuer: Keys, times and addresses.
        world: For the clock and the name of the node.
        openings: Keeps what opens the commitments of entries.
        places: Entries of the status list.
        ledger: Looks at each credential once more before it is written down.
        origin: Name of the log.
    """

    issuer: Issuer
    world: World
    openings: OpeningStore
    places: Places
    ledger: IssueLedger
    origin: str


@dataclass(frozen=True, slots=True)
class Made:
    """A credential that was made; it may leave once it is written down.

    Args:
        text: The credential.
        kept: What the book has of it, but for the index of its entry.
        fields: What it discloses one by one.
    """

    text: str
    kept: Kept
    fields: tuple[str, ...]


class CredentialForm:
    """Makes the credential of one request; a `Form`.

    Args:
        workshop: What it is made with.
        holder: Public key of the holder, or None.
        replaces: Id of an earlier credential of the caller, or empty.
        seen: Number of the newest change of a record that every later filtering has in it.
    """

    def __init__(self, workshop: Workshop, holder: Jwk | None, replaces: str, seen: int) -> None:
        self._with = workshop
        self._holder = holder
        self._replaces = replaces
        self._seen = seen
        self.made: Made | None = None

    def make(self, delivery: Delivery, batch: ReleasedBatch) -> Beside | None:
        """Return what goes with the outcome; None where the answer isn't one record."""
        if self.made is not None:
            self._with.places.drop()  # it wasn't free any more
        if batch.batch.num_rows != 1:
            return None
        drawn = os.urandom(_ID_BYTES + _SALT_BYTES)
        self.made = made = self._mint(delivery, batch, drawn[:_ID_BYTES].hex())
        kept = made.kept
        opening = Opening("credential", self._committed(made), drawn[_ID_BYTES:])
        entry = entries.credential_issued(
            time=kept.issued_at,
            node=self._with.world.node.name,
            intent=delivery.intent.index,
            product=kept.product,
            credential=commit(opening),
            fields=len(made.fields),
            expires=kept.expires_at,
            bound=self._holder is not None,
        )
        openings = self._with.openings

        def rows(index: int) -> Sequence[Row | Rows]:
            return [
                *openings.rows(index, {"credential": opening}, ()),
                book.row_of(kept, index),
            ]

        issue = Issue(
            kept.where, kept.subject, self._seen, self._replaces, kept.party_id, kept.product,
            kept.issued_at,
        )  # fmt: skip
        return Beside(encode_entry(entry), rows, Posting(self._with.ledger, issue))

    def _mint(self, delivery: Delivery, batch: ReleasedBatch, credential_id: str) -> Made:
        issuer, facts = self._with.issuer, delivery.facts
        settings, product = issuer.settings, facts.product.name
        now = self._with.world.clock_ms() // 1000
        names = tuple(map(claim_name, batch.batch.schema.names))
        fields = dict(zip(names, json_values(batch.batch), strict=True))
        columns = delivery.prepared.plan.columns
        licence, caller = facts.licence, delivery.trail.caller
        ends = [now + settings.validity_s, batch.first_end]
        ends += [licence.not_after, licence.agreement.not_after] if licence else []
        where, kind = self._with.places.take(), issuer.type_of(product)
        head = Head(
            issuer=settings.issuer,
            credential_id=credential_id,
            kind=kind.url,
            integrity=kind.integrity,
            issued_at=now,
            expires_at=min(ends),
            list_uri=issuer.list_url(where.number),
            place=where.place,
            release=_release(delivery, self._with.origin),
            holder=self._holder,
        )
        kept = Kept(
            credential_id=credential_id,
            where=where,
            party_id=caller.party.party_id if caller else "",
            product=product,
            subject=facts.request.subjects[0],
            snapshot=delivery.snapshot.origin,
            columns=columns,
            content=content_of(credential_id, delivery.snapshot.take(batch.rows, columns)),
            issued_at=now,
            expires_at=head.expires_at,
            log_index=-1,
            status=CredentialStatus.VALID,
            status_at=now,
        )
        text = mint(issuer.signer, head, fields, decoys=settings.decoys)
        return Made(text, kept, names)

    def _committed(self, made: Made) -> bytes:
        """Return what the entry of the issue commits to."""
        where = made.kept.where
        return to_json(
            {
                "id": made.kept.credential_id,
                "digest": digest_of(made.text),
                "list": self._with.issuer.list_url(where.number),
                "place": where.place,
            }
        )


def _release(delivery: Delivery, origin: str) -> Object:
    """Return what every reader of the credential may know of the answer that it is a form of."""
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
