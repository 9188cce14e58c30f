"""Reconciliation: what the log, and what lies beside it, must agree on. It repairs nothing.

    log        indexes without gap, the database's copy of each entry, times that do not go back
    requests   intent, batches and outcome: all there, the same rows, the same bytes, one party
    grounds    licence, consent, snapshot, contract and policy that an entry refers to exist
    evidence   openings and inputs of decisions are kept, released rows are those committed to
    index      roots keep up with the log

A run goes on where the last one ended. What it found stays found: an intent without an outcome
never gets one, and a contradiction in the log cannot be taken back.
"""

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from struct import iter_unpack
from typing import Any, Final

from audit.commitment import check_opening, delivery_digest
from audit.doctor_state import DoctorState, Finding, OpenIntent
from audit.errors import AuditError
from audit.index_store import live_segments
from audit.indexer import covered
from audit.merkle import leaf_hash
from audit.openings import OpeningStore
from audit.reader import LogReader
from audit.recognition import REPORT_REGISTER
from audit.sequence import next_index, read_bodies
from audit.store import Reader

JsonObject = Mapping[str, Any]  # Any: values of a JSON object
_STRIDE: Final = 1_024
DELIVERED: Final = "delivered"


@dataclass(frozen=True, slots=True)
class Limits:
    """How late something may be before it is worth a look, in seconds.

    Args:
        open_intent_s: Age of an intent without an outcome.
        index_lag_s: Age of an access that no root covers.
        clock_back_s: How far a node's times may go back; requests that arrive together are
            logged in the order in which they were decided.
    """

    open_intent_s: int = 900
    index_lag_s: int = 300
    clock_back_s: int = 60


class Doctor:
    """Reconciles one log. Blocking; it only reads.

    Args:
        reader: The published log.
        connection: A connection for reading the state, alone in its thread.
        openings: Unseals openings.
        state: Where an earlier run ended; it is changed.
        limits: How late something may be.
    """

    def __init__(
        self,
        reader: LogReader,
        connection: Reader,
        openings: OpeningStore,
        state: DoctorState,
        limits: Limits,
    ) -> None:
        self._reader = reader
        self._connection = connection
        self._openings = openings
        self._state = state
        self._limits = limits
        self._inputs: set[str] = set()
        self._handlers: dict[str, Callable[[int, JsonObject], None]] = {
            "intent": self._intent,
            "denial": self._denial,
            "batch": self._batch,
            "outcome": self._outcome,
            "node_started": self._started,
            "node_stopped": self._stopped,
            "intents_open": self._reported,
        }

    def run(self, now: int, *, progress: Callable[[int, int], None] | None = None) -> list[Finding]:
        """Read what is new and return everything that does not agree, in the log's order.

        Args:
            now: Unix seconds.
            progress: Told (entries done, entries in all).

        Raises:
            NoteError: The log has no checkpoint that its key signed.
            LogCorruptError: A bundle of the log is missing or malformed.
        """
        size = self._reader.checkpoint().size
        self._forget_another_log(size)
        while (start := self._state.position) < size:
            self._read(start, min(start + _STRIDE, size))
            if progress is not None:
                progress(self._state.position, size)
        found = [*self._state.findings, *self._still_open(now), *self._present(now, size)]
        return sorted(found, key=lambda each: (each.index, each.kind))

    def _forget_another_log(self, size: int) -> None:
        state = self._state
        if state.position > size or (
            state.position and leaf_hash(self._reader.entry(state.position - 1)).hex() != state.leaf
        ):
            fresh = DoctorState()
            for name in DoctorState.__slots__:
                setattr(state, name, getattr(fresh, name))

    def _read(self, start: int, end: int) -> None:
        rows = {row[0]: row[2] for row in read_bodies(self._connection, start, end)}
        opened = {
            row[0]
            for row in self._connection.execute(
                "SELECT entry FROM audit_opening WHERE entry >= ? AND entry < ?", (start, end)
            )
        }
        body = b""
        for index, body in enumerate(self._reader.entries(start, end), start):
            if rows.get(index, body) != body:
                self._state.add("database_differs", index, "the database holds another entry here")
            entry = json.loads(body)
            self._time(index, entry)
            handler = self._handlers.get(entry["kind"])
            if handler is not None:
                handler(index, entry)
            self._learn(index, entry)
            if entry["kind"] in ("intent", "batch", "outcome") and index not in opened:
                self._state.add("openings_missing", index, "what opens its commitments is gone")
        self._state.position, self._state.leaf = end, leaf_hash(body).hex()

    def _time(self, index: int, entry: JsonObject) -> None:
        """Batches and outcomes bear the time at which their request came, so they are left out."""
        if entry["kind"] in ("batch", "outcome"):
            return
        time = int(entry["time"])
        newest = self._state.newest.get(entry["node"], time)
        if time < newest - self._limits.clock_back_s:
            self._state.add("clock_back", index, "the clock of its node went back")
        self._state.newest[entry["node"]] = max(newest, time)

    def _learn(self, index: int, entry: JsonObject) -> None:
        match entry["kind"]:
            case "licence_activated" | "licence_status":
                self._state.learn("licence", index)
            case "consent_registered":
                self._state.learn("consent", index)
            case "snapshot_admitted":
                self._state.learn("snapshot", entry["snapshot"])
            case "border_copied":
                if not self._state.knows("snapshot", entry["source"]):
                    self._state.add("unresolved", index, "its source is not in the log before it")
                self._state.learn("snapshot", entry["snapshot"])
            case "contract_published":
                self._state.learn("contract", entry["contract"])
            case "policy_activated":
                self._state.learn("bundle", entry["bundle"])

    # --- requests ---

    def _intent(self, index: int, entry: JsonObject) -> None:
        self._state.open[index] = OpenIntent(entry["time"], entry["node"])
        grounds = ["licence", "consent", "contract", "bundle"]
        if entry["product"] != REPORT_REGISTER:
            grounds.append("snapshot")
        self._grounds(index, entry, grounds)
        row = self._connection.execute(
            "SELECT request_id, party_id FROM requests WHERE intent = ?", (index,)
        ).fetchone()
        if row is None or tuple(row) != (entry["request"], entry.get("party")):
            self._state.add("party_differs", index, "the state knows another request or party here")

    def _denial(self, index: int, entry: JsonObject) -> None:
        self._grounds(index, entry, ("bundle",))

    def _grounds(self, index: int, entry: JsonObject, references: Sequence[str]) -> None:
        for name in references:
            if name in entry and not self._state.knows(name, entry[name]):
                self._state.add("unresolved", index, f"its {name} is not in the log before it")
        digest = entry.get("input")
        if digest is None or digest in self._inputs:
            return
        found = self._connection.execute(
            "SELECT 1 FROM decision_inputs WHERE digest = ?", (_digest(digest).hex(),)
        ).fetchone()
        if found is None:
            self._state.add("input_missing", index, "the input of its decision is not kept")
        elif len(self._inputs) < 100_000:  # noqa: PLR2004 - some 10 MB
            self._inputs.add(digest)

    def _batch(self, index: int, entry: JsonObject) -> None:
        intent = self._state.open.get(entry["intent"])
        if intent is None:
            self._without_intent(index, entry)
            return
        if entry["number"] in intent.numbers:
            self._state.add("batch_twice", index, "its intent has a batch of this number already")
        intent.numbers.append(entry["number"])
        intent.batches.append(index)
        intent.rows += entry["rows"]
        self._released(index, entry, entry["intent"], entry["number"])

    def _outcome(self, index: int, entry: JsonObject) -> None:
        intent = self._state.open.pop(entry["intent"], None)
        if intent is None:
            self._without_intent(index, entry)
            return
        done = entry["status"] == DELIVERED
        if intent.batches:
            # A delivery that failed may have counted the batch that it failed on.
            if entry["rows"] != intent.rows if done else entry["rows"] < intent.rows:
                self._state.add("rows_disagree", index, "its rows are not those of the batches")
            if done:
                self._content(index, entry, intent)
        elif "delivered" in entry:
            self._released(index, entry, entry["intent"], 0)
        elif done and entry["rows"]:
            self._state.add("rows_disagree", index, "rows were released without evidence of which")

    def _without_intent(self, index: int, entry: JsonObject) -> None:
        referred = entry["intent"]
        kind = ""
        if 0 <= referred < index:
            kind = json.loads(self._reader.entry(referred))["kind"]
        if kind == "intent":
            self._state.add("after_outcome", index, "its intent had an outcome already")
        else:
            self._state.add("no_intent", index, "it refers to no intent")

    def _content(self, index: int, entry: JsonObject, intent: OpenIntent) -> None:
        """Compare the digest of the whole with the digests of the batches."""
        try:
            parts = [
                self._openings.openings(self._connection, each)["content"].value
                for each in intent.batches
            ]
            whole = self._openings.openings(self._connection, index)["content"]
            check_opening(whole, _digest(entry["content"]))
        except (AuditError, KeyError):
            return  # told as a missing opening, or by the check of the index
        if delivery_digest(parts).digest() != whole.value:
            self._state.add("content_disagrees", index, "its digest is not that of the batches")

    def _released(self, index: int, entry: JsonObject, intent: int, sequence: int) -> None:
        """Compare the released rows in the state with the commitment and the number of rows."""
        row = self._connection.execute(
            "SELECT rows FROM deliveries WHERE intent = ? AND sequence = ?", (intent, sequence)
        ).fetchone()
        try:
            opening = self._openings.openings(self._connection, index)["delivered"]
            check_opening(opening, _digest(entry["delivered"]))
        except KeyError:
            return  # told as a missing opening
        except AuditError:
            self._state.add("delivered_differs", index, "its rows do not open its commitment")
            return
        if row is None or bytes(row[0]) != opening.value:
            self._state.add("delivered_differs", index, "the state knows other released rows")
        if sum(length for _, length in iter_unpack("<II", opening.value)) != entry["rows"]:
            self._state.add("rows_disagree", index, "its rows are not those it commits to")

    # --- nodes ---

    def _started(self, index: int, entry: JsonObject) -> None:
        node = entry["node"]
        if node in self._state.running:
            self._state.add("unclean_stop", index, "its node had not stopped in order before")
        self._state.running[node] = index

    def _stopped(self, _index: int, entry: JsonObject) -> None:
        self._state.running.pop(entry["node"], None)

    def _reported(self, index: int, entry: JsonObject) -> None:
        self._state.reported.update(dict.fromkeys(entry["intents"], index))

    # --- as it stands now ---

    def _still_open(self, now: int) -> list[Finding]:
        old = now - self._limits.open_intent_s
        return [
            Finding(
                "open_intent",
                index,
                "it has no outcome: whether its rows left is not known",
                self._state.reported.get(index, -1),
            )
            for index, intent in self._state.open.items()
            if intent.time <= old or index in self._state.reported
        ]

    def _present(self, now: int, size: int) -> list[Finding]:
        found: list[Finding] = []
        sequenced = next_index(self._connection)
        if sequenced < size:
            found.append(Finding("gap", sequenced, "the log holds more than was ever sequenced"))
        first, last, count = self._connection.execute(
            "SELECT min(position), max(position), count(*) FROM audit_entry"
        ).fetchone()
        if count and (last - first + 1 != count or last != sequenced):
            found.append(Finding("gap", int(first) - 1, "the sequencer's table has a gap"))
        waiting = self._connection.execute(
            "SELECT min(entry) FROM subject_labels WHERE entry >= ?", (covered(self._connection),)
        ).fetchone()[0]
        if waiting is not None and waiting < size:
            time = json.loads(self._reader.entry(waiting))["time"]
            if time < now - self._limits.index_lag_s:
                found.append(Finding("index_lags", waiting, "no root of the index covers it yet"))
        found += [
            Finding("index_lags", row.log_index, "its range waits to be sealed again")
            for row in live_segments(self._connection)
            if row.salt is None
        ]
        return found


def _digest(text: str) -> bytes:
    return urlsafe_b64decode(text + "=")
