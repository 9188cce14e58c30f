"""Licences, consents and stop orders: signed facts that the policy decides on."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.domain.vocabulary import LicenceKind, Status, SubjectKind


@dataclass(frozen=True, slots=True)
class Grant:
    """What a licence grants of one product.

    Args:
        fields: Field names that may be asked for.
        pseudonymous: True when the subject key must leave as a pseudonym of this consumer.
        minimum_subjects: Smallest portfolio that may be asked for at once.
        provider_consent: Number of the providing department's consent to operation (R38);
            empty when it gave none.
    """

    fields: frozenset[str]
    pseudonymous: bool = False
    minimum_subjects: int = 1
    provider_consent: str = ""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The agreement a licence rests on (R32).

    Args:
        agreement_id: Its number.
        not_before: Start of its term.
        not_after: End of its term.
        exporter: Party id of the licensed agency that exports persons' information to this
            partner (R58); empty when the agreement names none.
    """

    agreement_id: str
    not_before: int
    not_after: int
    exporter: str = ""


@dataclass(frozen=True, slots=True)
class Quotas:
    """Limits of use per licence; None means that the node's own limit holds.

    Args:
        calls_per_second: Calls per second, averaged over one second.
        rows_per_day: Rows per day of Asia/Shanghai.
    """

    calls_per_second: int | None = None
    rows_per_day: int | None = None


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence document after verification (R30 to R34).

    Times are unix seconds; `not_before` is inclusive, `not_after` exclusive.

    Args:
        licence_id: Stable id; a renewal has a higher serial.
        serial: Version of the document, monotonic per licence id.
        party_id: The organisation it is for.
        kind: The permission behind it.
        agreement: The operation or recognition agreement.
        grants: Product name to what is granted of it.
        purposes: Purpose codes.
        scenarios: Scenario codes.
        destinations: ISO 3166 codes of where the data may be used; `CN` for inside.
        subject_kinds: Kinds of subject that may be asked about.
        not_before: Start of the term.
        not_after: End of the term.
        quotas: Limits of use.
        signed_requests: True when each request must carry the caller's signature.
        signer: Key id of the authority that signed it.
        status: ACTIVE, SUSPENDED or REVOKED.
        index: Log index of the entry that activated this serial.
        status_index: Log index of the entry that set the status.
        sealed_answers: True when each answer must be encrypted to the licensee's key.
    """

    licence_id: str
    serial: int
    party_id: str
    kind: LicenceKind
    agreement: Agreement
    grants: Mapping[str, Grant]
    purposes: frozenset[str]
    scenarios: frozenset[str]
    destinations: frozenset[str]
    subject_kinds: frozenset[SubjectKind]
    not_before: int
    not_after: int
    quotas: Quotas
    signed_requests: bool
    signer: str
    status: Status
    index: int
    status_index: int
    sealed_answers: bool = False


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent document after verification (domain-rules 3.3 M; PIPL 14, 23, 29, 39).

    Args:
        consent_id: Stable id.
        issuer: Party id of the registered consent issuer that signed it.
        recipient: Party id of the named recipient.
        subjects: Keyed labels of the subjects it covers, never identifiers.
        mode: GENERAL, SEPARATE or WRITTEN.
        purposes: Purpose codes.
        data_kinds: Product names.
        cross_border: True when it names the recipient abroad and how rights are exercised.
        not_before: Unix seconds, inclusive.
        not_after: Unix seconds, exclusive.
        withdrawn_at: Unix seconds, or None.
        index: Log index of its registration.
        digest: Salted digest under which the log knows the document, hex.
        exporter: Party id of the exporter that it was given to; empty when it names none.
    """

    consent_id: str
    issuer: str
    recipient: str
    subjects: frozenset[str]
    mode: str
    purposes: frozenset[str]
    data_kinds: frozenset[str]
    cross_border: bool
    not_before: int
    not_after: int
    withdrawn_at: int | None
    index: int
    digest: str
    exporter: str = ""


@dataclass(frozen=True, slots=True)
class StopOrder:
    """An emergency stop (R87); `scope` is `all`, `org:<party id>` or `product:<name>`."""

    scope: str
    index: int
