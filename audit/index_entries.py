"""Entries of the sealed index, of the destruction of openings, of holds and of open intents."""

from collections.abc import Sequence

from audit.entry_form import Digest, Entry, digest_text, make_entry


def index_root(
    *,
    time: int,
    node: str,
    first: int,
    past: int,
    leaves: int,
    root: Digest,
    destruction: int | None = None,
) -> Entry:
    """Say what the sealed index of subjects holds for a range of entries.

    Args:
        time: Unix seconds.
        node: Name of the node.
        first: First entry that it covers.
        past: One past the last; below the index of this entry.
        leaves: Number of leaves, a power of two, dummies included.
        root: Root of the tree over the leaves.
        destruction: Index of the destruction because of which the range was sealed again.
    """
    members: Entry = {"first": first, "past": past, "leaves": leaves, "root": digest_text(root)}
    if destruction is not None:
        members["destruction"] = destruction
    return make_entry("index_root", time, node, **members)


def openings_destroyed(
    *,
    time: int,
    node: str,
    actor: str,
    basis: str,
    until: int,
    count: int,
    entries: Digest,
    approvals: Sequence[tuple[str, str]],
) -> Entry:
    """Say that what opens the commitments to a subject was destroyed.

    Args:
        time: Unix seconds.
        node: Name of the node.
        actor: Who did it, a party id or `console`.
        basis: On which ground, as stated.
        until: Unix seconds; entries before it are concerned.
        count: Number of entries concerned.
        entries: Commitment to which entries they are.
        approvals: (party id, key id) of each administrator who signed it.
    """
    return make_entry(
        "openings_destroyed",
        time,
        node,
        actor=actor,
        basis=basis,
        until=until,
        count=count,
        entries=digest_text(entries),
        approvals=[list(each) for each in approvals],
    )


def hold_placed(
    *, time: int, node: str, actor: str, hold: str, reason: str, subject: Digest | None = None
) -> Entry:
    """Say that nothing may be destroyed while a hold stands.

    Args:
        time: Unix seconds.
        node: Name of the node.
        actor: Who placed it.
        hold: Id of the hold.
        reason: Why, as stated.
        subject: Commitment to the subject; left out when the hold is on everything.
    """
    members: Entry = {"actor": actor, "hold": hold, "reason": reason}
    if subject is not None:
        members["subject"] = digest_text(subject)
    return make_entry("hold_placed", time, node, **members)


def hold_lifted(*, time: int, node: str, actor: str, hold: str, reason: str, placed: int) -> Entry:
    """Say that a hold has ended.

    Args:
        time: Unix seconds.
        node: Name of the node.
        actor: Who lifted it.
        hold: Id of the hold.
        reason: Why, as stated.
        placed: Index of the entry that placed it.
    """
    return make_entry(
        "hold_lifted", time, node, actor=actor, hold=hold, reason=reason, placed=placed
    )


def intents_open(*, time: int, node: str, count: int, intents: Sequence[int]) -> Entry:
    """Say that a node found intents of its earlier life without an outcome.

    Args:
        time: Unix seconds.
        node: Name of the node.
        count: How many.
        intents: Their indexes, the first hundred.
    """
    return make_entry("intents_open", time, node, count=count, intents=list(intents))
