"""Entries of mutual recognition: signed tables put in effect, and reports that were issued.

A table of identifiers names enterprises, so the log holds no content, only a salted digest of it;
the salt lies beside the content, outside the log.
"""

from collections.abc import Sequence
from typing import Final

from audit.entry_form import Digest, Entry, digest_text, make_entry, optional

# The product by which the register of issued reports is read. What an intent of it names as its
# snapshot is a moment of that register, which was never admitted: its grounds are the entries
# `report_issued`.
REPORT_REGISTER: Final = "credit_report_check"


def recognition_registered(
    *,
    time: int,
    node: str,
    actor: str,
    register: str,
    name: str,
    version: int,
    content: Digest,
    signer: str,
    not_before: int,
) -> Entry:
    """Say that a document of mutual recognition was put in effect by the authority's signature.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who handed it in.
        register: Which register: `terms`, `mapping`, `fields` or `identifiers`.
        name: What its versions share: a partner, a table, a jurisdiction or a register.
        version: Version number.
        content: Salted digest of what it says.
        signer: Key id of the authority's key.
        not_before: Start, unix seconds.
    """
    return make_entry(
        "recognition_registered",
        time,
        node,
        actor=actor,
        register=register,
        name=name,
        version=version,
        content=digest_text(content),
        signer=signer,
        not_before=not_before,
    )


def recognition_proposed(
    *,
    time: int,
    node: str,
    actor: str,
    register: str,
    name: str,
    version: int,
    content: Digest,
    not_before: int,
) -> Entry:
    """Say that a document of mutual recognition awaits approvals.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who proposed it.
        register: Which register.
        name: What its versions share.
        version: Version number.
        content: Salted digest of what it says.
        not_before: Start, unix seconds.
    """
    return make_entry(
        "recognition_proposed",
        time,
        node,
        actor=actor,
        register=register,
        name=name,
        version=version,
        content=digest_text(content),
        not_before=not_before,
    )


def recognition_approved(
    *,
    time: int,
    node: str,
    actor: str,
    register: str,
    name: str,
    version: int,
    role: str,
    proposal: int,
    earlier: Sequence[int] = (),
) -> Entry:
    """Say that a proposed document of mutual recognition was approved by one role.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who approved it.
        register: Which register.
        name: What its versions share.
        version: Version number.
        role: Role in which it was approved.
        proposal: Index of the proposal.
        earlier: Indexes of the approvals that were there before.
    """
    return make_entry(
        "recognition_approved",
        time,
        node,
        actor=actor,
        register=register,
        name=name,
        version=version,
        role=role,
        proposal=proposal,
        **({"earlier": list(earlier)} if earlier else {}),
    )


def recognition_withdrawn(
    *,
    time: int,
    node: str,
    actor: str,
    register: str,
    name: str,
    version: int,
    proposal: int | None = None,
    registration: int | None = None,
) -> Entry:
    """Say that a document of mutual recognition was withdrawn.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who did it.
        register: Which register.
        name: What its versions share.
        version: Version number.
        proposal: Index of its proposal, when it was proposed.
        registration: Index of its registration, when the authority signed it.
    """
    return make_entry(
        "recognition_withdrawn",
        time,
        node,
        actor=actor,
        register=register,
        name=name,
        version=version,
        **optional(proposal=proposal, registration=registration),
    )


def report_issued(
    *, time: int, node: str, actor: str, report: str, intents: Sequence[int], valid_until: int
) -> Entry:
    """Say that released fields were issued as a report whose digest can be confirmed.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Party that received it.
        report: Its number, drawn at random.
        intents: Indexes of the intents of its sections.
        valid_until: Until when it may be confirmed as valid, unix seconds.
    """
    return make_entry(
        "report_issued",
        time,
        node,
        actor=actor,
        report=report,
        intents=list(intents),
        valid_until=valid_until,
    )
