"""Everything one decision needs, gathered before it and citing the log where it was signed.

No subject identifier stands here: only kinds, counts and facts. Times are unix seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.domain.foreign import ForeignIssuer
from gateway.domain.licence import Consent, Licence, StopOrder
from gateway.domain.party import Caller
from gateway.domain.product import Product
from gateway.domain.recognition import Recognition
from gateway.domain.request import ExchangeRequest

NO_GROUP = 1 << 31  # above every minimum: nobody can be told apart


@dataclass(frozen=True, slots=True)
class Publicity:
    """How fresh the publicity and repair feed of a product is (R13).

    Args:
        as_of: Time of the last reconciliation, or None when it never ran.
        limit_s: Greatest age in seconds; 0 when the product needs no feed.
    """

    as_of: int | None
    limit_s: int


@dataclass(frozen=True, slots=True)
class Hop:
    """One link of the responsibility chain (R80): who, and where it is signed in the log."""

    uscc: str
    signer: str
    at: int
    index: int


@dataclass(frozen=True, slots=True)
class Responsibility:
    """Manager, transmitter and user of a delivery; a missing one is None (R80)."""

    manager: Hop | None
    transmitter: Hop | None
    user: Hop | None


@dataclass(frozen=True, slots=True)
class Whitelist:
    """A field whitelist for one partner and one product (R68).

    Args:
        version: Version number, monotonic per partner and product.
        fields: Field names that may cross.
        approvals: Role of each approver to the log index of the approval.
        mechanism: Id of the mechanism whose scope binds it, empty for organisations only.
        index: Log index of the activation.
        not_before: Start of effect.
        withdrawn_at: End of effect, or None.
    """

    version: int
    fields: frozenset[str]
    approvals: Mapping[str, int]
    mechanism: str
    index: int
    not_before: int
    withdrawn_at: int | None


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A mechanism for exporting personal information (PIPL 38; Order 16; Order 20).

    Args:
        mechanism_id: Number of the assessment, filing or certificate.
        kind: ASSESSMENT, SCC or CERT.
        exporter: Party id of the exporter in its scope.
        recipient: Party id of the recipient in its scope.
        fields: Fields in its scope.
        purposes: Purposes in its scope.
        scale_cap: Greatest number of persons, 0 when none is stated.
        not_before: Start of validity.
        not_after: End of validity.
        index: Log index of its registration.
    """

    mechanism_id: str
    kind: str
    exporter: str
    recipient: str
    fields: frozenset[str]
    purposes: frozenset[str]
    scale_cap: int
    not_before: int
    not_after: int
    index: int


@dataclass(frozen=True, slots=True)
class Exporter:
    """The exporter of record (never the platform itself for persons).

    Args:
        party_id: The party that the partner's agreement names, else the product's manager.
        is_ciio: An operator of critical information infrastructure; true when nothing is known.
        is_state_organ: A state organ, or authorised like one; true when nothing is known.
        persons: Distinct persons this year, ordinary PI, this request's included.
        sensitive_persons: Distinct persons this year, sensitive PI, this request's included.
        counters_index: Log index that the counts rest on.
        named: True when the partner's agreement names it.
        stated: True when the register of exporters says what it is.
        role: Its role, empty while it is not active.
        licences: Kinds of its licences for this product that are in force.
    """

    party_id: str
    is_ciio: bool
    is_state_organ: bool
    persons: int
    sensitive_persons: int
    counters_index: int
    named: bool = False
    stated: bool = False
    role: str = ""
    licences: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Border:
    """Facts of a request that crosses the border (domain-rules 5.3).

    Args:
        country: ISO 3166 code of the partner.
        is_judicial: True for a foreign judicial or law-enforcement body (PIPL 41).
        restricted: True when the recipient is on the restricted list (PIPL 42).
        important_data: True when the data was notified as important.
        whitelist: The version in effect, or None.
        mechanisms: Mechanisms registered for this recipient.
        exporter: The exporter of record.
        impact_assessment_until: End of the impact assessment's validity, or None.
        exempt_basis: ART4, ART5_CONTRACT, ART5_EMERGENCY or empty.
        enterprise_authorised: True when the enterprise authorised its C and P1 fields.
        rests_on: Log indexes of the registers' entries that these facts were read from.
        turns: Times at which one of the registers will say something else by itself.
        intermediary: True for a foreign bureau, which asks for users of its own.
    """

    country: str
    is_judicial: bool
    restricted: bool
    important_data: bool
    whitelist: Whitelist | None
    mechanisms: tuple[Mechanism, ...]
    exporter: Exporter
    impact_assessment_until: int | None
    exempt_basis: str = ""
    enterprise_authorised: bool = False
    rests_on: tuple[int, ...] = ()
    turns: tuple[int, ...] = ()
    intermediary: bool = False


@dataclass(frozen=True, slots=True)
class Inbound:
    """Facts of a request for what issuers abroad stated (M58).

    Args:
        issuers: Every registered issuer, in its newest approved version, in force or not.
    """

    issuers: tuple[ForeignIssuer, ...]


@dataclass(frozen=True, slots=True)
class RecipientKey:
    """The key that an answer is encrypted to, so that it stays with its addressee.

    Args:
        key_id: JWK thumbprint.
        jwk: The public key, JSON.
    """

    key_id: str
    jwk: str


@dataclass(frozen=True, slots=True)
class Facts:
    """The whole input of one decision.

    Args:
        now: Unix seconds.
        caller: Who is on the line.
        licence: The licence the request rests on, or None.
        product: The contract asked about.
        request: The request; its subjects are counted, never copied.
        consent: The consent it rests on, or None.
        consent_covers: True when the consent covers every subject asked about.
        stop_orders: Emergency stops that touch this request (R87).
        publicity: Freshness of the product's feed.
        responsibility: The chain of R80.
        platform_operators_only: None, or whether every subject is registered on the calling
            platform (R72).
        border: Facts of the crossing, or None inside the country.
        switches: Deployment switches by name; unknown names are refused at start.
        inbound: Facts of the issuers, when the product holds what was stated abroad.
        recognition: Facts of mutual recognition, or None where they play no part.
        recipient_key: The caller's key that the answer is encrypted to, or None when it isn't;
            no matter of the decision.
        known_subjects: How many of the subjects have something to show; at most so many as
            long as nothing was looked at.
        smallest_group: Fewest subjects that the answer would tell apart under pseudonyms, with
            all that the party was shown before; at most so many as long as nothing was looked at.
    """

    now: int
    caller: Caller
    licence: Licence | None
    product: Product
    request: ExchangeRequest
    consent: Consent | None
    consent_covers: bool
    stop_orders: tuple[StopOrder, ...]
    publicity: Publicity
    responsibility: Responsibility
    platform_operators_only: bool | None
    border: Border | None
    switches: Mapping[str, bool | int]
    inbound: Inbound | None = None
    recognition: Recognition | None = None
    recipient_key: RecipientKey | None = None
    known_subjects: int = 0  # whoever doesn't count is refused where it matters
    smallest_group: int = 0
