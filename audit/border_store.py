"""Entries of the store apart: what was copied for use abroad, and that the store was destroyed."""

from collections.abc import Sequence

from audit.entry_form import Digest, Entry, digest_text, make_entry


def border_copied(
    *,
    time: int,
    node: str,
    actor: str,
    product: str,
    snapshot: Digest,
    source: Digest,
    fields: Sequence[str],
    whitelists: Sequence[int],
    key: str,
) -> Entry:
    """Say that records were copied into the store apart; written before the copy serves.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who had it copied, a party id, `console` or `gateway`.
        product: Product name.
        snapshot: Id of the copy; answers to requests from abroad name it.
        source: Id of the domestic snapshot.
        fields: Fields that may leave, sorted.
        whitelists: Indexes of the approvals of the whitelists in effect that name them.
        key: Name of the store's key; it tells nothing of the key.
    """
    return make_entry(
        "border_copied",
        time,
        node,
        actor=actor,
        product=product,
        snapshot=digest_text(snapshot),
        source=digest_text(source),
        fields=list(fields),
        whitelists=list(whitelists),
        key=key,
    )


def border_destroyed(
    *, time: int, node: str, actor: str, key: str, copies: int, reason: str
) -> Entry:
    """Say that the store apart was destroyed: its key, and with it every copy.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who did it, a party id or `console`.
        key: Name of the key that was destroyed; empty when there was none.
        copies: Number of copies that were removed.
        reason: Why, as stated.
    """
    return make_entry(
        "border_destroyed", time, node, actor=actor, key=key, copies=copies, reason=reason
    )
