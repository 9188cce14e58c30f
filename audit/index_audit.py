"""The auditor's check of the sealed index: every root derived anew from log and openings.

Nothing of the operator's index is taken for granted. Every intent and denial of the verified
log is opened against its commitment, the labels of its subjects are computed with the index
key, and each root that the log ever committed to must come out of them. A label that was left
out, added, or put under another entry changes the root. An opening that is missing must have
been destroyed, and the destruction must stand in the log and name the entry.

What is needed: the log, the openings and their key, the index key, and the salts of the
segments. What it does not show: that an entry exists for every release; that is the business of
callers' promises and of the checks on batches and outcomes.
"""

import json
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from audit.commitment import (
    Opening,
    SubjectLabels,
    check_opening,
    commit,
    snapshot_label,
    subject_leaves,
)
from audit.errors import AuditError, ProofError
from audit.index_store import SegmentRow, every_segment
from audit.openings import OpeningStore
from audit.reader import LogReader
from audit.segment import build
from audit.store import Reader
from audit.verify import MAX_PROBLEMS, Problem

_MARKS: Final = (b'"kind":"index_root"', b'"kind":"openings_destroyed"')
JsonObject = Mapping[str, Any]  # Any: values of a JSON object


@dataclass(frozen=True, slots=True)
class IndexKeys:
    """What an auditor needs besides the log and the state.

    Args:
        openings: Unseals openings.
        index_key: Key of the index, 32 bytes.
    """

    openings: OpeningStore = field(repr=False)
    index_key: bytes = field(repr=False)


@dataclass(slots=True)
class IndexReport:
    """What was found.

    Args:
        size: Entries of the log that were read.
        accesses: Intents and denials among them that concern a subject or a whole snapshot.
        covered: First entry that no root covers; the accesses from there on are in `tail`.
        roots: Roots that were derived anew and agree.
        unknowable: Roots whose salt a destruction took; newer roots cover their ranges.
        destroyed: Openings that are missing and bound by a destruction in the log.
        tail: Accesses that no root covers yet.
        problems: What does not agree; empty when the index holds.
    """

    size: int = 0
    accesses: int = 0
    covered: int = 0
    roots: int = 0
    unknowable: int = 0
    destroyed: int = 0
    tail: int = 0
    problems: list[Problem] = field(default_factory=list)

    def problem(self, message: str, index: int | None = None) -> None:
        """Note that something does not agree."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(message, index))


def verify_index(
    reader: LogReader,
    connection: Reader,
    keys: IndexKeys,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> IndexReport:
    """Derive every root of the index anew.

    Args:
        reader: The published log; verify it as a whole first (`audit.verify.verify_log`).
        connection: Any connection to the state database, or to a copy of it.
        keys: The keys.
        progress: Told (entries done, entries in all).

    Raises:
        NoteError: The log has no checkpoint that its key signed.
        LogCorruptError: An entry is missing.
    """
    return _Audit(reader, connection, keys, progress or (lambda _done, _all: None)).run()


def derive_tail(
    reader: LogReader, connection: Reader, keys: IndexKeys, first: int
) -> tuple[set[tuple[bytes, int]], IndexReport]:
    """Derive the labels of the published entries that no root covers yet.

    Args:
        reader: The published log.
        connection: Any connection to the state database.
        keys: The keys.
        first: First entry that no root covers.

    Returns:
        (label, index of an entry), and a report whose problems name openings that are missing.

    Raises:
        NoteError: The log has no checkpoint that its key signed.
        LogCorruptError: An entry is missing.
    """
    return _Audit(reader, connection, keys, lambda _done, _all: None).tail(first)


class _Audit:
    def __init__(
        self,
        reader: LogReader,
        connection: Reader,
        keys: IndexKeys,
        progress: Callable[[int, int], None],
    ) -> None:
        self._reader = reader
        self._connection = connection
        self._keys = keys
        self._labels = SubjectLabels(keys.index_key)
        self._progress = progress
        self._report = IndexReport()
        self._roots: list[tuple[int, JsonObject]] = []
        self._destroyed: Counter[int] = Counter()

    def run(self) -> IndexReport:
        size = self._report.size = self._reader.checkpoint().size
        self._read_acts(size)
        known = {row.log_index: row for row in every_segment(self._connection)}
        live = self._replay_coverage()
        self._report.covered = live[-1][1]["past"] if live else 0
        for _, root in live:
            pairs = list(self._pairs(root["first"], root["past"]))
            for index, each in self._roots:
                if each["first"] >= root["first"] and each["past"] <= root["past"]:
                    self._compare(index, each, known.get(index), pairs)
        tail = {entry for _, entry in self._pairs(self._report.covered, size)}
        self._report.tail = len(tail)
        return self._report

    def tail(self, first: int) -> tuple[set[tuple[bytes, int]], IndexReport]:
        size = self._report.size = self._reader.checkpoint().size
        self._report.covered = min(first, size)
        return set(self._pairs(self._report.covered, size)), self._report

    def _read_acts(self, size: int) -> None:
        """Collect roots and destructions; what else the log holds is read range by range."""
        if not size:
            return
        for index, body in enumerate(self._reader.entries(0, size)):
            if not any(mark in body for mark in _MARKS):
                continue
            entry = json.loads(body)
            if entry["kind"] == "index_root":
                self._roots.append((index, entry))
            elif entry["kind"] == "openings_destroyed":
                self._read_destruction(index, entry)

    def _read_destruction(self, index: int, entry: JsonObject) -> None:
        try:
            opening = self._keys.openings.openings(self._connection, index)["entries"]
            check_opening(opening, _digest(entry["entries"]))
            named = [int(each) for each in opening.value.decode().split()]
        except (KeyError, AuditError, ValueError):
            self._report.problem("it does not tell which entries it concerned", index)
            return
        if len(named) != entry["count"]:
            self._report.problem("its count is not that of the entries it names", index)
        self._destroyed.update(named)

    def _replay_coverage(self) -> list[tuple[int, JsonObject]]:
        """Follow the roots as they came: each extends the range, or replaces whole older ones."""
        live: list[tuple[int, JsonObject]] = []
        for index, root in self._roots:
            first, past = root["first"], root["past"]
            covered = live[-1][1]["past"] if live else 0
            inside = [
                at for at, (_, each) in enumerate(live)
                if each["first"] >= first and each["past"] <= past
            ]  # fmt: skip
            exact = bool(inside) and (
                live[inside[0]][1]["first"] == first and live[inside[-1]][1]["past"] == past
            )
            if not first < past <= index or not (exact or (first == covered and not inside)):
                self._report.problem("the root covers a range that does not fit the others", index)
                continue
            if exact:
                live[inside[0] : inside[-1] + 1] = [(index, root)]
            else:
                live.append((index, root))
        return live

    def _compare(
        self,
        index: int,
        root: JsonObject,
        known: SegmentRow | None,
        pairs: list[tuple[bytes, int]],
    ) -> None:
        if known is None:
            self._report.problem("the state does not know the salt of this root", index)
            return
        if known.salt is None:
            if known.destruction is None or not self._replaced_after(index, root):
                self._report.problem("the salt of this root is gone without a destruction", index)
            self._report.unknowable += 1
            return
        inside = [pair for pair in pairs if root["first"] <= pair[1] < root["past"]]
        derived = build(inside, known.salt)
        if derived.leaves != root["leaves"] or derived.root() != _digest(root["root"]):
            self._report.problem(
                f"the root over entries {root['first']} to {root['past'] - 1} is not that of the"
                " subjects whom these entries concern",
                index,
            )
        else:
            self._report.roots += 1

    def _replaced_after(self, index: int, root: JsonObject) -> bool:
        """Say whether a later root, sealed because of a destruction, covers the same range."""
        return any(
            later > index
            and "destruction" in each
            and each["first"] <= root["first"]
            and root["past"] <= each["past"]
            for later, each in self._roots
        )

    def _pairs(self, first: int, past: int) -> Iterator[tuple[bytes, int]]:
        if first >= past:
            return
        for index, body in enumerate(self._reader.entries(first, past), first):
            if not index % 256:
                self._progress(index, self._report.size)
            if b'"kind":"intent"' not in body and b'"kind":"denial"' not in body:
                continue
            entry = json.loads(body)
            if entry["kind"] not in ("intent", "denial"):
                continue
            found = set(self._labels_of(index, entry))
            self._report.accesses += bool(found)
            for label in found:
                yield label, index
        self._progress(past, self._report.size)

    def _labels_of(self, index: int, entry: JsonObject) -> Iterator[bytes]:
        count = entry.get("subject_count")
        if count is None:
            return
        if not count:
            if entry["kind"] == "intent":
                yield snapshot_label(self._keys.index_key, _digest(entry["snapshot"]).hex())
            return
        try:
            opening = self._keys.openings.openings(self._connection, index).get("subjects")
            if opening is None:
                self._missing(index, 1)
                return
            check_opening(opening, _digest(entry["subjects"]))
            leaves = subject_leaves(opening.value)
            if leaves is None:
                for subject in opening.value.decode().split("\n"):
                    yield self._labels.of(subject)
                return
            yield from self._single(index, set(leaves))
        except ProofError:
            self._report.problem("its opening does not open its commitment", index)

    def _single(self, index: int, leaves: set[bytes]) -> Iterator[bytes]:
        opened = self._keys.openings.subjects(self._connection, index)
        for label, opening in opened.items():
            leaf = commit(opening)
            if leaf not in leaves or label != self._labels.of(opening.value.decode()):
                raise ProofError("the opening of a subject does not belong to the entry")
            leaves.remove(leaf)
            yield label
        if leaves:
            self._missing(index, len(leaves))

    def _missing(self, index: int, count: int) -> None:
        """Account for openings that are gone: a destruction in the log must name the entry."""
        if self._destroyed[index] < count:
            self._report.problem("its opening is gone and no destruction names it", index)
        else:
            self._report.destroyed += count


def destroyed_opening(entries: list[int], salt: bytes) -> Opening:
    """Return the opening of a destruction's commitment to the entries it concerned."""
    return Opening("entries", " ".join(map(str, entries)).encode(), salt)


def _digest(text: str) -> bytes:
    return urlsafe_b64decode(text + "=")
