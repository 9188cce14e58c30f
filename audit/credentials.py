"""Entries of credentials: that one was issued, and that some no longer stand as they were issued.

An entry of an issue stands right behind the outcome of its answer. It commits to the whole
credential and to its place in a status list, so neither is told; opened, it proves which
credential it was. What a repair supersedes stands in the repair's own entry.
"""

from audit.entry_form import Digest, Entry, digest_text, make_entry


def credential_issued(
    *,
    time: int,
    node: str,
    intent: int,
    product: str,
    credential: Digest,
    fields: int,
    expires: int,
    bound: bool,
) -> Entry:
    """Say that what a request released left in the form of a credential.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        intent: Index of the intent whose answer it is.
        product: Name of the product.
        credential: Commitment to its id, its digest and its place in a status list.
        fields: How many fields it discloses one by one.
        expires: Unix seconds of its end.
        bound: Whether it is bound to a key of its holder.
    """
    return make_entry(
        "credential_issued",
        time,
        node,
        intent=intent,
        product=product,
        credential=digest_text(credential),
        fields=fields,
        expires=expires,
        bound=bound,
    )


def credential_status(
    *, time: int, node: str, actor: str, product: str, status: str, reason: str, count: int
) -> Entry:
    """Say that credentials of a product got another status.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who did it, a party id or `console`; the node itself for a newer snapshot.
        product: Name of the product.
        status: `REFRESH` or `INVALID`.
        reason: `SNAPSHOT` when a newer one says otherwise, `RENEWED`, `ERROR` or `FRAUD`.
        count: How many.
    """
    return make_entry(
        "credential_status",
        time,
        node,
        actor=actor,
        product=product,
        status=status,
        reason=reason,
        count=count,
    )
