"""Step two of a request: everything the decision needs, gathered from what was signed before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.border.counts import ExportCounts, ThisRequestOnly
from gateway.domain.errors import DeniedError, InvalidRequestError, UnauthenticatedError
from gateway.domain.facts import (
    NO_GROUP,
    Facts,
    Hop,
    Inbound,
    Publicity,
    RecipientKey,
    Responsibility,
    Whitelist,
)
from gateway.domain.foreign import FOREIGN_PRODUCT, ForeignIssuer
from gateway.domain.licence import Consent, Licence, StopOrder
from gateway.domain.party import Caller, Party
from gateway.domain.product import Product
from gateway.domain.recognition import Direction, Mode, Recognition
from gateway.domain.request import ExchangeRequest
from gateway.domain.vocabulary import Role
from gateway.registry.border import BorderRegisters
from gateway.registry.consents import subject_label
from gateway.registry.document_keys import DocumentKey
from gateway.registry.recognition import Recognitions
from gateway.release.crossing import HOME, crossing

_PARTNERS = frozenset({Role.CROSS_BORDER_PARTNER, Role.REGIONAL_PARTNER})


class RegistryView(Protocol):
    """One consistent state of what operator and authority have signed.

    A view never changes. `version` rises with every change of the registry, made by this
    process or by another.
    """

    @property
    def version(self) -> int:
        """Number of the last committed change."""
        ...

    def caller(self, fingerprint: str) -> Caller | None:
        """Return the party and certificate behind a pin, or None."""
        ...

    def licence_for(self, party_id: str, product: str, at: int | None = None) -> Licence | None:
        """Return the licence of a party that speaks for a product, whatever its status."""
        ...

    @property
    def border(self) -> BorderRegisters:
        """The registers of the border."""
        ...

    def party(self, party_id: str) -> Party | None:
        """Return a registered organisation, or None."""
        ...

    def licences_of(self, party_id: str, product: str) -> tuple[Licence, ...]:
        """Return every licence of a party that grants a product, whatever its status."""
        ...

    def consent(self, consent_id: str) -> Consent | None:
        """Return a consent, withdrawn or not, or None."""
        ...

    def stop_orders(self, party_id: str, product: str) -> tuple[StopOrder, ...]:
        """Return the emergency stops that touch a party and a product (R87)."""
        ...

    def whitelist(self, partner: str, product: str, at: int | None = None) -> Whitelist | None:
        """Return the newest field whitelist of a partner and a product in effect (R68)."""
        ...

    def feed_as_of(self, product: str) -> int | None:
        """Return when a product's publicity feed was last reconciled (R13)."""
        ...

    def foreign_issuers(self, at: int) -> tuple[ForeignIssuer, ...]:
        """Return every registered issuer abroad in its newest version, withdrawn or not."""
        ...

    def is_foreign_bureau(self, party_id: str) -> bool:
        """Say whether a party asks for users of its own, as foreign bureaus do."""
        ...

    @property
    def recognitions(self) -> Recognitions:
        """What was signed about mutual recognition."""
        ...

    def encryption_key(self, party_id: str) -> RecipientKey | None:
        """Return the newest active key that a party has answers encrypted to, or None."""
        ...

    def document_key(self, key_id: str) -> DocumentKey | None:
        """Return a registered document key, whatever its status, or None."""
        ...


class Registry(Protocol):
    """Gives the present view; cheap when nothing changed, current across processes."""

    def view(self) -> RegistryView:
        """Return the view of the last committed change."""
        ...


@dataclass(frozen=True, slots=True)
class Node:
    """What this gateway is, for the chain of responsibility and the log.

    Args:
        name: Name of the node in entries.
        transmitter: The operator's hop (R80): who runs it, under which start entry.
        managers: Product name to the manager's hop: who published its contract.
        switches: Deployment switches of the policy.
        consent_key: 32 bytes; labels subjects as consents name them.
    """

    name: str
    transmitter: Hop | None
    managers: Mapping[str, Hop]
    switches: Mapping[str, bool | int]
    consent_key: bytes = field(repr=False)


_NO_COUNTERS = ThisRequestOnly()


def gather(
    view: RegistryView,
    caller: Caller,
    request: ExchangeRequest,
    product: Product,
    node: Node,
    now: int,
    counts: ExportCounts = _NO_COUNTERS,
    covered: bool | None = None,
) -> Facts:
    """Return the input of the decision.

    Args:
        view: One state of the registry.
        caller: Who is on the line.
        request: What is asked.
        product: The contract asked about.
        node: This gateway.
        now: Unix seconds.
        counts: Persons that exporters have supplied abroad this year.
        covered: Whether the consent covers every subject, where that was found out before: its
            subjects never change, and a million of them take seconds to compare.

    Raises:
        InvalidRequestError: `CONSENT_UNKNOWN` when the request names a consent that was
            never registered.
        UnauthenticatedError: `SIGNATURE_REQUIRED` when the licence demands signed requests
            and this one has no signature.
        DeniedError: `ENCRYPTION_KEY_MISSING` or `SEALED_BY_QUERY_ONLY` when the answer has to
            be encrypted and can't be.
    """
    party = caller.party
    consent = view.consent(request.consent_id) if request.consent_id else None
    if request.consent_id and consent is None:
        raise InvalidRequestError("CONSENT_UNKNOWN", "the consent was never registered")
    licence = view.licence_for(party.party_id, product.name, now)
    if licence is not None and licence.signed_requests and not request.signature:
        raise UnauthenticatedError(
            "SIGNATURE_REQUIRED", "the licence demands that the caller signs its requests"
        )
    abroad = request.destination != HOME or party.jurisdiction != HOME
    return Facts(
        now=now,
        caller=caller,
        licence=licence,
        product=product,
        request=request,
        consent=consent,
        consent_covers=_covers(consent, request.subjects, node.consent_key)
        if covered is None
        else covered,
        stop_orders=view.stop_orders(party.party_id, product.name),
        publicity=Publicity(view.feed_as_of(product.name), product.feed_limit_s),
        responsibility=Responsibility(
            manager=node.managers.get(product.name),
            transmitter=node.transmitter,
            user=_user(caller, licence, request),
        ),
        # Deny on doubt: no register of a platform's operators is connected yet (R72).
        platform_operators_only=False if party.role is Role.PLATFORM_ENTERPRISE else None,
        border=(crossing(view, caller, request, product, licence, counts, now) if abroad else None),
        switches=node.switches,
        inbound=Inbound(view.foreign_issuers(now)) if product.name == FOREIGN_PRODUCT else None,
        recognition=_recognition(view, caller, request, product, now),
        recipient_key=_recipient_key(view, caller, licence, request),
        known_subjects=len(request.subjects),
        smallest_group=NO_GROUP,
    )


def speaks_as_before(view: RegistryView, facts: Facts, now: int) -> bool:
    """Say whether the same versions of what was signed speak as when facts were gathered.

    A version that was put in effect before begins without an act, and the one that it takes the
    place of tells nobody of it; so no view is another then, and the decision on it still holds.

    Args:
        view: The state of the registry that the facts were gathered from.
        facts: What was gathered.
        now: Unix seconds.
    """
    return now == facts.now or _speaking(view, facts, facts.now) == _speaking(view, facts, now)


def _speaking(view: RegistryView, facts: Facts, at: int) -> tuple[object, ...]:
    party_id, product, signed = facts.caller.party.party_id, facts.product.name, view.recognitions
    return (
        view.licence_for(party_id, product, at),
        view.whitelist(party_id, product, at),
        signed.terms(party_id, at),
        signed.mapping(party_id, product, Direction.OUT, at),
        signed.table(facts.request.destination, at),
        view.foreign_issuers(at) if product == FOREIGN_PRODUCT else (),
    )


def _recognition(
    view: RegistryView, caller: Caller, request: ExchangeRequest, product: Product, now: int
) -> Recognition | None:
    """Return what was signed about mutual recognition that touches this request, or None."""
    party, signed = caller.party, view.recognitions
    if party.role not in _PARTNERS:
        return Recognition(request.mode, None, None, None) if request.mode else None
    graded = request.mode == Mode.GRADE_MAP
    found = Recognition(
        mode=request.mode,
        terms=signed.terms(party.party_id, now),
        mapping=signed.mapping(party.party_id, product.name, Direction.OUT, now)
        if graded
        else None,
        table=signed.table(request.destination, now),
    )
    # A partner without any of it asks as partners did before there was such a thing.
    return found if found.mode or found.terms or found.table else None


def _recipient_key(
    view: RegistryView, caller: Caller, licence: Licence | None, request: ExchangeRequest
) -> RecipientKey | None:
    """Return the key that the answer is encrypted to, wanted by the caller or by its licence."""
    if not request.sealed and (licence is None or not licence.sealed_answers):
        return None
    if not request.sealable:
        raise DeniedError(
            "SEALED_BY_QUERY_ONLY", "answers that have to be encrypted come by Query only"
        )
    key = view.encryption_key(caller.party.party_id)
    if key is None:
        raise DeniedError(
            "ENCRYPTION_KEY_MISSING", "the answer has to be encrypted and no key is registered"
        )
    return key


def _covers(consent: Consent | None, subjects: Sequence[str], key: bytes) -> bool:
    if consent is None or not subjects:
        return False
    return all(subject_label(key, subject) in consent.subjects for subject in subjects)


def _user(caller: Caller, licence: Licence | None, request: ExchangeRequest) -> Hop:
    """Return the user's hop: the organisation, under its licence or else its registration."""
    index = caller.party.index if licence is None else licence.index
    return Hop(caller.party.party_id, caller.certificate.fingerprint, request.asked_at, index)
