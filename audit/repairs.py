"""Entries of repairs and of what follows from them: alarms, recalls, probes, proposals.

A record stands in them as a commitment only; a recipient by its party id.
"""

from collections.abc import Sequence

from audit.entry_form import Digest, Entry, digest_text, make_entry


def repair(
    *,
    time: int,
    node: str,
    actor: str,
    product: str,
    record: Digest,
    authority: str,
    sequence: int,
    verdict: str,
    signer: str,
    document: Digest,
    state: str = "",
    delay: int | None = None,
    consequences: Sequence[str] = (),
) -> Entry:
    """Say that a repair or another change of shareability took effect.

    Args:
        time: Unix seconds.
        node: Name of the node.
        actor: Party that handed the decision in.
        product: Product of the record.
        record: Commitment to the record's key.
        authority: Whose sequence numbers it: the origin of the decision.
        sequence: Number in that sequence.
        verdict: What was decided.
        signer: Key id of the authority's key.
        document: Digest of the signed decision.
        state: Where the record stands from now on.
        delay: Seconds from the authority's decision to this entry.
        consequences: What follows from it for other rooms.
    """
    members: Entry = {}
    if state:
        members["state"] = state
    if delay is not None:
        members["delay"] = delay
    if consequences:
        members["consequences"] = list(consequences)
    return make_entry(
        "repair",
        time,
        node,
        actor=actor,
        product=product,
        record=digest_text(record),
        authority=authority,
        sequence=sequence,
        verdict=verdict,
        signer=signer,
        document=digest_text(document),
        **members,
    )


def alarm(
    *,
    time: int,
    node: str,
    actor: str,
    rule: str,
    code: str,
    product: str = "",
    records: int | None = None,
    cause: int | None = None,
    document: Digest | None = None,
) -> Entry:
    """Say that something came up that a person should look at.

    Args:
        time: Unix seconds.
        node: Name of the node.
        actor: Who brought it up: a party id, `console`, or `feed:` and the name of a feed.
        rule: Rule of the domain that it concerns.
        code: What it is: `ILLEGAL_DELETION`, `EARLY_REPAIR` and the like.
        product: Product concerned.
        records: How many records it concerns.
        cause: Index of the entry that it belongs to.
        document: Digest of the document that raised it.
    """
    members: Entry = {"actor": actor, "rule": rule, "code": code}
    if product:
        members["product"] = product
    if records is not None:
        members["records"] = records
    if cause is not None:
        members["cause"] = cause
    if document is not None:
        members["document"] = digest_text(document)
    return make_entry("alarm", time, node, **members)


def recall(
    *,
    time: int,
    node: str,
    repair: int,
    party: str,
    deliveries: int,
    first: int,
    last: int,
    notice: Digest,
    due: int,
) -> Entry:
    """Say that a receiver was told to stop using what it received before a repair.

    Args:
        time: Unix seconds.
        node: Name of the node.
        repair: Index of the repair.
        party: The receiver.
        deliveries: Number of deliveries that held the record.
        first: Index of the intent of the first of them.
        last: Index of the intent of the last of them.
        notice: Commitment to the notice.
        due: Unix seconds by which it should be acknowledged.
    """
    return make_entry(
        "recall",
        time,
        node,
        repair=repair,
        party=party,
        deliveries=deliveries,
        first=first,
        last=last,
        notice=digest_text(notice),
        due=due,
    )


def recall_acknowledged(
    *,
    time: int,
    node: str,
    recall: int,
    party: str,
    answer: str,
    signature: Digest | None = None,
) -> Entry:
    """Say that a receiver acknowledged a recall.

    Args:
        time: Unix seconds.
        node: Name of the node.
        recall: Index of the recall.
        party: The receiver.
        answer: What it said: `PURGED`, `SUSPENDED`, `NOT_HELD` or `OBJECTED`.
        signature: Digest of its signature on the acknowledgement.
    """
    members: Entry = {"recall": recall, "party": party, "answer": answer}
    if signature is not None:
        members["signature"] = digest_text(signature)
    return make_entry("recall_acknowledged", time, node, **members)


def recall_escalated(*, time: int, node: str, recall: int, party: str) -> Entry:
    """Say that a recall was not acknowledged in time (R28).

    Args:
        time: Unix seconds.
        node: Name of the node.
        recall: Index of the recall.
        party: The receiver.
    """
    return make_entry("recall_escalated", time, node, recall=recall, party=party)


def recall_probed(
    *, time: int, node: str, actor: str, recall: int, party: str, result: str
) -> Entry:
    """Say what a receiver's own service answered when it was asked for a recalled record.

    Args:
        time: Unix seconds.
        node: Name of the node.
        actor: Who had it asked.
        recall: Index of the recall.
        party: The receiver.
        result: `CLEAN`, `STILL_SHOWN`, `UNREACHABLE`, `MALFORMED` or `NO_ENDPOINT`.
    """
    return make_entry(
        "recall_probed", time, node, actor=actor, recall=recall, party=party, result=result
    )


def endpoint_declared(*, time: int, node: str, actor: str, party: str, endpoint: str) -> Entry:
    """Say that an organisation declared where it can be asked what it still shows.

    Args:
        time: Unix seconds.
        node: Name of the node.
        actor: Who entered it.
        party: The organisation.
        endpoint: The address of its service.
    """
    return make_entry("endpoint_declared", time, node, actor=actor, party=party, endpoint=endpoint)


def suspension_proposed(*, time: int, node: str, party: str, recalls: Sequence[int]) -> Entry:
    """Say that an organisation's suspension is proposed, for a person to sign (R28).

    Args:
        time: Unix seconds.
        node: Name of the node.
        party: The organisation.
        recalls: Indexes of overdue recalls, the first hundred.
    """
    return make_entry("suspension_proposed", time, node, party=party, recalls=list(recalls))


def suspension_closed(
    *,
    time: int,
    node: str,
    actor: str,
    proposal: int,
    party: str,
    decision: str,
    document: Digest | None = None,
) -> Entry:
    """Say what became of a proposed suspension: what a person decided, or that nobody had to.

    Args:
        time: Unix seconds.
        node: Name of the node.
        actor: Who decided: the party whose key signed, or the receiver that answered in time.
        proposal: Index of the proposal.
        party: The organisation.
        decision: `SIGNED`, `DISMISSED`, or `MOOT` when everything was answered before.
        document: Digest of the decision that a person signed.
    """
    members: Entry = {} if document is None else {"document": digest_text(document)}
    return make_entry(
        "suspension_closed",
        time,
        node,
        actor=actor,
        proposal=proposal,
        party=party,
        decision=decision,
        **members,
    )


def publicity_reconciled(
    *,
    time: int,
    node: str,
    actor: str,
    product: str,
    authority: str,
    snapshot: Digest,
    as_of: int,
    records: int,
    differences: int,
    applied: int,
) -> Entry:
    """Say that a product was compared with a publicity authority, record by record (R11).

    Args:
        time: Unix seconds.
        node: Name of the node.
        actor: Who had it compared.
        product: The product.
        authority: Whose publicity it was compared with.
        snapshot: Digest of the snapshot.
        as_of: Unix seconds of the authority's state.
        records: Records compared.
        differences: Differences found.
        applied: Differences that the precedence commands to apply, and that were.
    """
    return make_entry(
        "publicity_reconciled",
        time,
        node,
        actor=actor,
        product=product,
        authority=authority,
        snapshot=digest_text(snapshot),
        as_of=as_of,
        records=records,
        differences=differences,
        applied=applied,
    )
