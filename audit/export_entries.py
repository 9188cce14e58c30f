"""Entries about persons counted for export: volumes declared, and crashed intents settled."""

from collections.abc import Sequence

from audit.entry_form import Entry, make_entry


def export_declared(
    *,
    time: int,
    node: str,
    actor: str,
    exporter: str,
    year: int,
    kind: str,
    version: int,
    persons: int,
    as_of: int,
    signer: str,
    document: str,
) -> Entry:
    """Say that an exporter declared how many persons it exported outside of this gateway.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who handed it in, a party id or `console`.
        exporter: Whose volume it is.
        year: The year that counts, in Asia/Shanghai.
        kind: `ordinary` or `sensitive`; written as `class`.
        version: Number of the declaration; the latest holds.
        persons: Distinct persons since 1 January.
        as_of: Unix seconds of the state that it describes.
        signer: Key id of the exporter's document key.
        document: SHA-256 of the signed document, hex.
    """
    members = {
        "actor": actor,
        "exporter": exporter,
        "year": year,
        "class": kind,
        "version": version,
        "persons": persons,
        "as_of": as_of,
        "signer": signer,
        "document": document,
    }
    return make_entry("export_declared", time, node, **members)


def export_settled(
    *,
    time: int,
    node: str,
    actor: str,
    released: Sequence[int],
    sent: Sequence[int],
    reason: str = "",
) -> Entry:
    """Say what became of persons whom intents without an outcome had counted for export.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who settled them: the node at its start, a party id, or `console`.
        released: Indexes of intents of which nothing left; they count nobody any more.
        sent: Indexes of intents that count as sent.
        reason: Why, as stated.
    """
    members: Entry = {"actor": actor, "released": list(released), "sent": list(sent)}
    if reason:
        members["reason"] = reason
    return make_entry("export_settled", time, node, **members)
