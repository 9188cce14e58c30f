"""Entries of acts that concern organisations: parties, certificates, licences, consents.

Later entries refer to these by index; together they are the chain of responsibility.
"""

from collections.abc import Sequence

from audit.entry_form import Entry, make_entry, optional


def party_registered(
    *,
    time: int,
    node: str,
    actor: str,
    party: str,
    name: str,
    role: str,
    jurisdiction: str,
    status: str,
) -> Entry:
    """Say that an organisation was registered or changed.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who did it.
        party: Party id.
        name: Registered name of the organisation.
        role: Its role.
        jurisdiction: ISO 3166 code.
        status: Its status.
    """
    return make_entry(
        "party_registered",
        time,
        node,
        actor=actor,
        party=party,
        name=name,
        role=role,
        jurisdiction=jurisdiction,
        status=status,
    )


def certificate_pinned(
    *,
    time: int,
    node: str,
    actor: str,
    party: str,
    fingerprint: str,
    not_before: int,
    not_after: int,
    registration: int | None = None,
) -> Entry:
    """Say that a certificate stands for a party.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who did it.
        party: Party id.
        fingerprint: Fingerprint of the certificate.
        not_before: Start of validity, unix seconds.
        not_after: End of validity, unix seconds.
        registration: Index of the entry that registered the party.
    """
    return make_entry(
        "certificate_pinned",
        time,
        node,
        actor=actor,
        party=party,
        fingerprint=fingerprint,
        not_before=not_before,
        not_after=not_after,
        **optional(registration=registration),
    )


def certificate_revoked(*, time: int, node: str, actor: str, party: str, fingerprint: str) -> Entry:
    """Say that a certificate no longer stands for a party.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who did it.
        party: Party id.
        fingerprint: Fingerprint of the certificate.
    """
    return make_entry(
        "certificate_revoked", time, node, actor=actor, party=party, fingerprint=fingerprint
    )


def licence_activated(
    *,
    time: int,
    node: str,
    actor: str,
    licence: str,
    serial: int,
    party: str,
    licence_kind: str,
    signer: str,
    document: str,
    not_before: int,
    not_after: int,
    registration: int | None = None,
) -> Entry:
    """Say that a licence signed by the authority is in force.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who handed it in.
        licence: Licence id.
        serial: Serial number.
        party: Organisation licensed.
        licence_kind: Kind of licence (R30, R31).
        signer: Key id of the authority's key.
        document: SHA-256 of the signed document, hex.
        not_before: Start, unix seconds.
        not_after: End, unix seconds.
        registration: Index of the entry that registered the organisation.
    """
    return make_entry(
        "licence_activated",
        time,
        node,
        actor=actor,
        licence=licence,
        serial=serial,
        party=party,
        licence_kind=licence_kind,
        signer=signer,
        document=document,
        not_before=not_before,
        not_after=not_after,
        **optional(registration=registration),
    )


def licence_status(
    *,
    time: int,
    node: str,
    actor: str,
    licence: str,
    serial: int,
    party: str,
    status: str,
    reason: str = "",
) -> Entry:
    """Say that a licence was suspended, resumed or revoked.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who did it.
        licence: Licence id.
        serial: Serial number.
        party: Organisation licensed.
        status: Its status from now on.
        reason: Why, as stated; it names nobody.
    """
    members = {"reason": reason} if reason else {}
    return make_entry(
        "licence_status",
        time,
        node,
        actor=actor,
        licence=licence,
        serial=serial,
        party=party,
        status=status,
        **members,
    )


def consent_registered(
    *,
    time: int,
    node: str,
    actor: str,
    issuer: str,
    recipient: str,
    digest: str,
    mode: str,
    cross_border: bool,
    not_before: int,
    not_after: int,
) -> Entry:
    """Say that a consent document was registered; its subject is not told.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who handed it in.
        issuer: Registered issuer of consents.
        recipient: Party that may use it.
        digest: Salted digest of the document, hex.
        mode: How consent was given.
        cross_border: Whether it covers export.
        not_before: Start, unix seconds.
        not_after: End, unix seconds.
    """
    return make_entry(
        "consent_registered",
        time,
        node,
        actor=actor,
        issuer=issuer,
        recipient=recipient,
        digest=digest,
        mode=mode,
        cross_border=cross_border,
        not_before=not_before,
        not_after=not_after,
    )


def consent_withdrawn(
    *, time: int, node: str, actor: str, consent: int, issuer: str, digest: str
) -> Entry:
    """Say that a consent was withdrawn.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who did it.
        consent: Index of its registration.
        issuer: Issuer.
        digest: Salted digest of the document, hex.
    """
    return make_entry(
        "consent_withdrawn", time, node, actor=actor, consent=consent, issuer=issuer, digest=digest
    )


def whitelist_proposed(
    *,
    time: int,
    node: str,
    actor: str,
    partner: str,
    product: str,
    version: int,
    fields: Sequence[str],
    mechanism: str,
    not_before: int,
) -> Entry:
    """Say that a field whitelist was proposed for a partner (R68).

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who proposed it.
        partner: Receiving party.
        product: Product.
        version: Version number.
        fields: Names of the fields.
        mechanism: Mechanism whose scope binds it, or empty.
        not_before: Start, unix seconds.
    """
    return make_entry(
        "whitelist_proposed",
        time,
        node,
        actor=actor,
        partner=partner,
        product=product,
        version=version,
        fields=list(fields),
        mechanism=mechanism,
        not_before=not_before,
    )


def whitelist_approved(
    *,
    time: int,
    node: str,
    actor: str,
    partner: str,
    product: str,
    version: int,
    role: str,
    proposal: int,
    earlier: Sequence[int] = (),
) -> Entry:
    """Say that a proposed whitelist was approved by one role (R68).

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who approved it.
        partner: Receiving party.
        product: Product.
        version: Version number.
        role: Role in which it was approved.
        proposal: Index of the proposal.
        earlier: Indexes of the approvals that were there before.
    """
    return make_entry(
        "whitelist_approved",
        time,
        node,
        actor=actor,
        partner=partner,
        product=product,
        version=version,
        role=role,
        proposal=proposal,
        **({"earlier": list(earlier)} if earlier else {}),
    )


def whitelist_withdrawn(
    *, time: int, node: str, actor: str, partner: str, product: str, version: int, proposal: int
) -> Entry:
    """Say that a whitelist was withdrawn.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who did it.
        partner: Receiving party.
        product: Product.
        version: Version number.
        proposal: Index of the proposal.
    """
    return make_entry(
        "whitelist_withdrawn",
        time,
        node,
        actor=actor,
        partner=partner,
        product=product,
        version=version,
        proposal=proposal,
    )
