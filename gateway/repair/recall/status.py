"""What the operator sees: which recalls there are, who was told when, who has not answered."""

import base64
import json
import re
from collections.abc import Sequence
from typing import Any

from gateway.store.migration import Statements

_INDEX = re.compile(r"[0-9]{1,18}")  # any of these fits into 64 bits
_WAITING = ("OPEN", "ESCALATED", "PROPOSED", "OBJECTED")


def notice_rows(state: Statements, *, repair: int | None, party_id: str) -> list[dict[str, Any]]:
    """Return every notice, the oldest first.

    Args:
        state: Reads the state.
        repair: Only of this repair, by its log index.
        party_id: Only of this receiver, or empty.
    """
    rows = state.execute(
        "SELECT n.notice, n.notice_id, n.repair, n.party_id, n.product, n.kind, n.status,"
        " n.deliveries, n.issued_at, n.due_at, n.served_at, n.answered_at, n.reply, n.proposal,"
        " (SELECT p.result FROM recall_probes AS p WHERE p.notice = n.notice"
        "  ORDER BY p.probe DESC LIMIT 1)"
        " FROM recall_notices AS n WHERE (? < 0 OR n.repair = ?) AND (? = '' OR n.party_id = ?)"
        " ORDER BY n.notice",
        (*([-1 if repair is None else repair] * 2), party_id, party_id),
    ).fetchall()
    names = (
        "notice", "notice_id", "repair", "party", "product", "kind", "status", "deliveries",
        "issued_at", "due_at", "served_at", "answered_at", "reply", "proposal", "probe",
    )  # fmt: skip
    return [
        {**dict(zip(names, row, strict=True)), "unanswered": row[6] in _WAITING} for row in rows
    ]


def recall_rows(state: Statements, *, repair: int | None) -> list[dict[str, Any]]:
    """Return every recall, those that are not computed yet included."""
    rows = state.execute(
        "SELECT r.repair, r.product, r.kind, r.reason, r.effective_at, r.computed_at,"
        " r.recipients, r.deliveries, r.unresolved FROM recalls AS r"
        " WHERE ? < 0 OR r.repair = ? ORDER BY r.repair",
        [-1 if repair is None else repair] * 2,
    ).fetchall()
    names = (
        "repair", "product", "kind", "reason", "effective_at", "computed_at", "recipients",
        "deliveries", "unresolved",
    )  # fmt: skip
    return [dict(zip(names, row, strict=True)) for row in rows]


def proposal_rows(state: Statements) -> list[dict[str, Any]]:
    """Return every proposed suspension with the objections that were made, the oldest first."""
    rows = state.execute(
        "SELECT proposal, party_id, notices, proposed_at, status, closed_index"
        " FROM suspension_proposals ORDER BY proposal"
    ).fetchall()
    names = ("proposal", "party", "notices", "proposed_at", "status", "closed")
    return [
        {**dict(zip(names, row, strict=True)), "objections": _objections(state, row[0])}
        for row in rows
    ]


def repair_index(state: Statements, repair_id: str) -> int | None:
    """Return the log index of a repair that is there, given by its id or by that index."""
    row = state.execute(
        "SELECT log_index FROM repairs WHERE repair_id = ?", (repair_id,)
    ).fetchone()
    if row is None and _INDEX.fullmatch(repair_id):
        # Most are asked for because of their recall, which is found without reading all repairs.
        row = state.execute(
            "SELECT repair FROM recalls WHERE repair = ?"
            " UNION ALL SELECT log_index FROM repairs WHERE log_index = ?",
            [int(repair_id)] * 2,
        ).fetchone()
    return None if row is None else int(row[0])


def seconds_to_notice(state: Statements, *, share: float = 0.99) -> int | None:
    """Return within how many seconds of the repair that share of notices was handed over.

    Only of those that were handed over: a receiver that doesn't watch is no slowness of ours.
    """
    waits = sorted(
        row[0]
        for row in state.execute(
            "SELECT n.served_at - r.effective_at FROM recall_notices AS n"
            " JOIN recalls AS r ON r.repair = n.repair WHERE n.served_at IS NOT NULL"
        )
    )
    return int(waits[min(len(waits) - 1, int(len(waits) * share))]) if waits else None


def _objections(state: Statements, proposal: int) -> Sequence[str]:
    """Return the reasons of the objections to the notices of a proposal."""
    rows = state.execute(
        "SELECT answer FROM recall_notices WHERE proposal = ? AND reply = 'OBJECTED'"
        " ORDER BY notice",
        (proposal,),
    ).fetchall()
    return [_reason(answer) for (answer,) in rows]


def _reason(answer: str) -> str:
    """Return the reason in an acknowledgement that was verified when it was taken."""
    payload = answer.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return str(claims.get("reason", ""))
