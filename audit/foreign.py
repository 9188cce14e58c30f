"""Entries about issuers abroad and the documents of theirs that are recognised here (M58)."""

from collections.abc import Sequence

from audit.entry_form import Digest, Entry, digest_text, make_entry


def issuer_proposed(
    *,
    time: int,
    node: str,
    actor: str,
    issuer: str,
    version: int,
    issuer_kind: str,
    jurisdiction: str,
    agreement: str,
    content: str,
    not_before: int,
) -> Entry:
    """Say that the registration of an issuer abroad was proposed.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who proposed it.
        issuer: The issuer, an https address.
        version: Version number.
        issuer_kind: `BUREAU` or `PARTNER`.
        jurisdiction: ISO 3166 code.
        agreement: Id of the agreement.
        content: Digest of the whole registration, hex.
        not_before: Start, unix seconds.
    """
    return make_entry(
        "issuer_proposed",
        time,
        node,
        actor=actor,
        issuer=issuer,
        version=version,
        issuer_kind=issuer_kind,
        jurisdiction=jurisdiction,
        agreement=agreement,
        content=content,
        not_before=not_before,
    )


def issuer_approved(
    *,
    time: int,
    node: str,
    actor: str,
    issuer: str,
    version: int,
    role: str,
    proposal: int,
    earlier: Sequence[int] = (),
    signer: str = "",
    document: str = "",
) -> Entry:
    """Say that a proposed issuer was approved by one role, or by the authority's document.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who approved it.
        issuer: The issuer.
        version: Version number.
        role: Role in which it was approved.
        proposal: Index of the proposal.
        earlier: Indexes of the approvals that were there before.
        signer: Key id of the authority, when it signed the registration itself.
        document: Digest of that document, hex.
    """
    return make_entry(
        "issuer_approved",
        time,
        node,
        actor=actor,
        issuer=issuer,
        version=version,
        role=role,
        proposal=proposal,
        **({"earlier": list(earlier)} if earlier else {}),
        **({"signer": signer, "document": document} if signer else {}),
    )


def issuer_withdrawn(
    *, time: int, node: str, actor: str, issuer: str, version: int, proposal: int, reason: str = ""
) -> Entry:
    """Say that nothing an issuer signed counts from now on.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who did it.
        issuer: The issuer.
        version: Version number.
        proposal: Index of the proposal.
        reason: Why, or empty.
    """
    return make_entry(
        "issuer_withdrawn",
        time,
        node,
        actor=actor,
        issuer=issuer,
        version=version,
        proposal=proposal,
        **({"reason": reason} if reason else {}),
    )


def foreign_admitted(
    *,
    time: int,
    node: str,
    actor: str,
    product: str,
    issuer: str,
    registration: int,
    document: Digest,
    record: Digest,
    status: Digest,
    table: str = "",
) -> Entry:
    """Say that a document of an issuer abroad was verified and admitted.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who handed it in.
        product: Product that serves it.
        issuer: The issuer.
        registration: Index of the approval that completed the issuer's registration.
        document: Digest of the document as its issuer signed it.
        record: Commitment to the record's key.
        status: Digest of the status list that it rested on.
        table: Grade table and version by which its grade was read, or empty.
    """
    return make_entry(
        "foreign_admitted",
        time,
        node,
        actor=actor,
        product=product,
        issuer=issuer,
        registration=registration,
        document=digest_text(document),
        record=digest_text(record),
        status=digest_text(status),
        **({"table": table} if table else {}),
    )


def foreign_refreshed(
    *,
    time: int,
    node: str,
    actor: str,
    product: str,
    confirmed: int,
    withdrawn: int,
    held: int,
    stale: int,
) -> Entry:
    """Say what came of asking again whether admitted documents still hold.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who asked.
        product: Product that serves them.
        confirmed: Documents that hold.
        withdrawn: Documents that were withdrawn for good.
        held: Documents that are held until their issuer lifts it.
        stale: Documents of which nothing fresh is known; they leave no more when they run out.
    """
    return make_entry(
        "foreign_refreshed",
        time,
        node,
        actor=actor,
        product=product,
        confirmed=confirmed,
        withdrawn=withdrawn,
        held=held,
        stale=stale,
    )
