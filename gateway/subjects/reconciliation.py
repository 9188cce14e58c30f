"""Reconciliation of a deployment: the doctor with its memory, and the report of open intents.

The doctor's memory lies beside the state database, for this user only. It holds no values; when
it is lost or of another log, the doctor starts from the beginning.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import structlog

from audit import entries
from audit.doctor import Doctor, Limits
from audit.doctor_state import DoctorState, Finding
from audit.journal import Transaction
from audit.openings import OpeningStore
from audit.reader import LogReader
from audit.store import Reader
from gateway.border.counters_reconcile import settle_open
from gateway.config import Limits as Settings
from gateway.domain.errors import UnavailableError
from gateway.registry.act import Act

_log = structlog.get_logger(__name__)
MEMORY: Final = "doctor.json"
_NAMED: Final = 100
_PRIVATE: Final = 0o600
_INTERVALS: Final = 3  # a root may be late by so many of its intervals


def limits_of(limits: Settings) -> Limits:
    """Return how late something may be in a deployment with these limits."""
    return Limits(
        open_intent_s=limits.open_intent_grace_s,
        index_lag_s=_INTERVALS * limits.index_interval_s,
        clock_back_s=max(1, limits.clock_skew_s),
    )


def reconcile(
    reader: LogReader,
    connection: Reader,
    openings: OpeningStore,
    limits: Limits,
    memory: Path,
    now: int,
    *,
    from_start: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Finding]:
    """Go on where the last run ended, and remember where this one did.

    Args:
        reader: The published log.
        connection: A connection for reading the state, alone in its thread.
        openings: Unseals openings.
        limits: How late something may be.
        memory: File of the doctor's memory.
        now: Unix seconds.
        from_start: Forget what was found and read everything again.
        progress: Told (entries done, entries in all).

    Raises:
        NoteError: The log has no checkpoint that its key signed.
        LogCorruptError: A bundle of the log is missing or malformed.
        UnavailableError: `AUDIT_UNAVAILABLE` when the memory can't be written.
    """
    state = DoctorState() if from_start else _recall(memory)
    found = Doctor(reader, connection, openings, state, limits).run(now, progress=progress)
    _remember(memory, state)
    return found


def summary(findings: Sequence[Finding]) -> Mapping[str, int]:
    """Return how many findings there are of each kind."""
    return dict(sorted(Counter(each.kind for each in findings).items()))


def report_open_intents(tx: Transaction, node: str, now: int) -> Sequence[int]:
    """Log, once, which intents of this node's earlier life have no outcome.

    Call it before the node opens its port, while nothing of it is under way.

    Args:
        tx: The transaction.
        node: Name of the node.
        now: Unix seconds.

    Returns:
        Indexes of those intents; empty when there are none.
    """
    # The row without a node says from where on batches and outcomes are found by their intent.
    below = tx.execute(
        "SELECT max(below) FROM open_intent_reports WHERE node IN (?, '')", (node,)
    ).fetchone()[0]
    candidates = tx.execute(
        "SELECT r.intent, e.body FROM requests r"
        " LEFT JOIN audit_entry e ON e.position = r.intent + 1"
        " WHERE r.intent >= ? AND NOT EXISTS (SELECT 1 FROM intent_entries i"
        " WHERE i.intent = r.intent AND i.kind = 'outcome') ORDER BY r.intent",
        (below,),
    ).fetchall()
    # A pruned body tells no node; better to report an intent twice than not at all.
    found = [
        int(intent)
        for intent, body in candidates
        if body is None or json.loads(body)["node"] == node
    ]
    newest = tx.execute("SELECT max(intent) FROM requests").fetchone()[0]
    index = -1
    if found:
        entry = entries.intents_open(time=now, node=node, count=len(found), intents=found[:_NAMED])
        index = tx.append(entry).index
    tx.execute(
        "INSERT INTO open_intent_reports (node, below, log_index) VALUES (?, ?, ?)"
        " ON CONFLICT (node) DO UPDATE SET below = excluded.below, log_index = excluded.log_index",
        (node, below if newest is None else int(newest) + 1, index),
    )
    return found


def report_and_settle(tx: Transaction, node: str, now: int) -> Sequence[int]:
    """Do the same, and settle what those intents counted for export."""
    found = report_open_intents(tx, node, now)
    settle_open(tx, found, Act(now, node, actor=node))
    return found


def warn_of(found: Sequence[int], node: str) -> None:
    """Tell the operator of open intents, beside the entry in the log."""
    if found:
        _log.warning("intents_open", node=node, count=len(found), first=found[0])


def _recall(memory: Path) -> DoctorState:
    try:
        return DoctorState.from_json(memory.read_bytes())
    except (OSError, ValueError):
        return DoctorState()


def _remember(memory: Path, state: DoctorState) -> None:
    fresh = memory.with_suffix(f".{os.getpid()}.new")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _PRIVATE)
        with os.fdopen(descriptor, "wb") as sink:
            sink.write(state.to_json())
        fresh.replace(memory)
    except OSError:
        raise UnavailableError(
            "AUDIT_UNAVAILABLE", "the doctor's memory can't be written beside the state"
        ) from None
