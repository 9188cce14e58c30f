"""What the registers of the border say: signed statements, each with a name and versions.

A statement is put in effect by a signed document or by two approvals of different roles. Of one
name the newest version that has begun speaks; an older one never comes back when it is suspended
or withdrawn. Sources: PIPL 36 to 42, 55, 56; CAC Orders 16 and 20; domain-rules 5.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.facts import Mechanism
from gateway.domain.vocabulary import Status


class Register(StrEnum):
    """The registers of the border."""

    MECHANISM = "MECHANISM"  # 出境机制: assessment, standard contract, certification (PIPL 38)
    ASSESSMENT = "ASSESSMENT"  # 个人信息保护影响评估 (PIPL 55, 56)
    RESTRICTED = "RESTRICTED"  # 限制或者禁止个人信息提供清单 (PIPL 42)
    PARTNER = "PARTNER"  # what a partner is: a judicial body or not (PIPL 41), its country
    EXPORTER = "EXPORTER"  # what an exporter is: critical infrastructure, a state organ
    EXEMPTION = "EXEMPTION"  # a basis of CAC Order 16 arts 4, 5, as the exporter states it
    IMPORTANT = "IMPORTANT"  # 重要数据: what was notified or published as important


@dataclass(frozen=True, slots=True)
class Assessment:
    """A personal-information impact assessment (PIPIA).

    Args:
        exporter: Whose duty it was.
        recipient: For supply to whom.
        purposes: For which purposes.
    """

    exporter: str
    recipient: str
    purposes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Restriction:
    """Whether an organisation is on the list of restricted recipients."""

    party: str
    listed: bool


@dataclass(frozen=True, slots=True)
class PartnerFacts:
    """What a partner is.

    Args:
        party: The partner.
        judicial: True for a foreign judicial or law-enforcement body.
        country: ISO 3166 code of where it is established.
    """

    party: str
    judicial: bool
    country: str


@dataclass(frozen=True, slots=True)
class ExporterFacts:
    """What an exporter is.

    Args:
        party: The exporter.
        ciio: True for an operator of critical information infrastructure.
        state_organ: True for a state organ, or an organisation authorised by law to manage
            public affairs (PIPL 36, 37).
    """

    party: str
    ciio: bool
    state_organ: bool


@dataclass(frozen=True, slots=True)
class Exemption:
    """A basis on which a transfer is exempt and not counted.

    Args:
        exporter: Who states it.
        recipient: For supply to whom.
        products: Of which products.
        purposes: For which purposes.
        basis: ART4, ART5_CONTRACT or ART5_EMERGENCY.
    """

    exporter: str
    recipient: str
    products: frozenset[str]
    purposes: frozenset[str]
    basis: str


@dataclass(frozen=True, slots=True)
class ImportantData:
    """What of a product was notified or published as important data.

    Args:
        product: The product.
        fields: Its fields that were; empty for all of them.
        notified: False when it no longer is.
    """

    product: str
    fields: frozenset[str]
    notified: bool


Content = (
    Mechanism | Assessment | Restriction | PartnerFacts | ExporterFacts | Exemption | ImportantData
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One version of a statement that was put in effect.

    Args:
        register: The register it stands in.
        name: What it is found by: a number, a party id or a product.
        version: Ascending per register and name.
        status: ACTIVE, SUSPENDED, or REVOKED when it was withdrawn.
        not_before: Unix seconds, inclusive.
        not_after: Unix seconds, exclusive; None when it has no end of its own.
        index: Log index of the entry that put it in effect.
        content: What it says.
    """

    register: Register
    name: str
    version: int
    status: Status
    not_before: int
    not_after: int | None
    index: int
    content: Content

    @property
    def about(self) -> str:
        """Whom or what it is looked up by: the recipient, the party itself, or the product."""
        content = self.content
        if isinstance(content, Mechanism | Assessment | Exemption):
            return content.recipient
        return content.product if isinstance(content, ImportantData) else content.party

    def ends_after(self, at: int) -> bool:
        """Say whether its term is not over yet; not a permission."""
        return self.not_after is None or at < self.not_after


def speaking(versions: Sequence[Statement], at: int) -> Statement | None:
    """Return the version of one name that speaks at a time, or None when none does.

    Args:
        versions: Versions of one name, ascending.
        at: Unix seconds.
    """
    for version in reversed(versions):
        if version.not_before <= at:
            return version if version.status is Status.ACTIVE else None
    return None
