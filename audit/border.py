"""Entries of the registers of the border: what was stated, approved, put in effect, ended.

Terms stand in them whole, as the canonical JSON of the statement: they name organisations,
fields, purposes and times, and never a subject.
"""

from collections.abc import Sequence

from audit.entry_form import Digest, Entry, digest_text, make_entry


def border_proposed(
    *, time: int, node: str, actor: str, register: str, name: str, version: int, terms: str
) -> Entry:
    """Say that a statement was proposed for a register of the border.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who proposed it.
        register: Which register: `MECHANISM`, `ASSESSMENT`, `PARTNER` and the like.
        name: What it is found by there: a number, a party id or a product.
        version: Version of what stands under this name.
        terms: What it says, canonical JSON.
    """
    return make_entry(
        "border_proposed",
        time,
        node,
        actor=actor,
        register=register,
        name=name,
        version=version,
        terms=terms,
    )


def border_approved(
    *,
    time: int,
    node: str,
    actor: str,
    register: str,
    name: str,
    version: int,
    role: str,
    proposal: int,
) -> Entry:
    """Say that a proposed statement was approved by one role.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who approved it.
        register: Which register.
        name: What it is found by there.
        version: Version.
        role: Role in which it was approved.
        proposal: Index of the proposal.
    """
    return make_entry(
        "border_approved",
        time,
        node,
        actor=actor,
        register=register,
        name=name,
        version=version,
        role=role,
        proposal=proposal,
    )


def border_registered(
    *,
    time: int,
    node: str,
    actor: str,
    register: str,
    name: str,
    version: int,
    terms: str,
    signer: str = "",
    document: Digest | None = None,
    proposal: int | None = None,
    approvals: Sequence[int] = (),
) -> Entry:
    """Say that a statement stands in a register of the border from now on.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who handed it in, or gave the approval that completed it.
        register: Which register.
        name: What it is found by there.
        version: Version.
        terms: What it says, canonical JSON.
        signer: Key id of the key that signed it, or empty when approvals put it in effect.
        document: Digest of the signed document.
        proposal: Index of the proposal.
        approvals: Indexes of the approvals.
    """
    return make_entry(
        "border_registered",
        time,
        node,
        actor=actor,
        register=register,
        name=name,
        version=version,
        terms=terms,
        **({"signer": signer} if signer else {}),
        **({} if document is None else {"document": digest_text(document)}),
        **({} if proposal is None else {"proposal": proposal}),
        **({"approvals": list(approvals)} if approvals else {}),
    )


def border_status(
    *,
    time: int,
    node: str,
    actor: str,
    register: str,
    name: str,
    version: int,
    status: str,
    registered: int | None = None,
    proposal: int | None = None,
    reason: str = "",
) -> Entry:
    """Say that a statement was suspended, resumed or withdrawn.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who did it.
        register: Which register.
        name: What it is found by there.
        version: Version.
        status: Its status from now on; `REVOKED` when it was withdrawn.
        registered: Index of the entry that put it in effect.
        proposal: Index of the proposal of one that never was.
        reason: Why, as stated; it names nobody.
    """
    return make_entry(
        "border_status",
        time,
        node,
        actor=actor,
        register=register,
        name=name,
        version=version,
        status=status,
        **({} if registered is None else {"registered": registered}),
        **({} if proposal is None else {"proposal": proposal}),
        **({"reason": reason} if reason else {}),
    )
