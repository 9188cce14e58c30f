"""Collects what one evidence pack holds, from the published log and from the state beside it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.chain import Landmarks, closure
from audit.checkpoint import Checkpoint
from audit.commitment import Opening, fields_root, prove_field, subject_label
from audit.entry_form import raw_digest
from audit.errors import AuditError, ProofError
from audit.merkle import leaf_hash
from audit.openings import OpeningStore, who
from audit.pack import Content, Promise
from audit.promise import sign_promise
from audit.reader import LogReader
from audit.store import Reader
from gateway.cli.audit_materials import add_materials
from gateway.cli.console import Session, read_bytes
from gateway.cli.log_range import parse_range
from gateway.domain.errors import InvalidRequestError, NotFoundError, UnavailableError
from gateway.release.field_values import encode

_COMMITTED = frozenset({"operator", "case", "subjects", "idempotency", "content", "delivered"})
_REQUESTS = frozenset({"intent", "denial"})


class Collector:
    """Collects what one pack holds; one for each pack.

    Args:
        opened: The open deployment.
        connection: Its state.

    Raises:
        UnavailableError: `CHECKPOINT_PENDING`: nothing is published yet.
    """

    def __init__(self, opened: Session, connection: Reader) -> None:
        deployment = opened.deployment
        self.opened = opened
        self.connection = connection
        self.reader = LogReader(deployment.log_directory, deployment.log_vkey)
        try:
            self.checkpoint: Checkpoint = self.reader.checkpoint()
        except AuditError as error:
            raise UnavailableError("CHECKPOINT_PENDING", str(error)) from None
        self._known: dict[int, bytes] = {}
        self._landmarks = Landmarks()

    def by_range(self, text: str) -> tuple[list[int], tuple[int, int]]:
        """Return every index of a range."""
        start, end = parse_range(text, self.checkpoint.size)
        return list(range(start, end)), (start, end)

    def find(self, request: str, org: str, subject: str) -> list[int]:
        """Return the intents and denials of a request, an organisation or a subject.

        Raises:
            NotFoundError: `NOT_FOUND`: the published log has none.
        """
        if subject:
            label = subject_label(self.opened.deployment.secrets().index_key, subject)
            known = who(self.connection, label)
            found = [index for index in known if index < self.checkpoint.size]
        else:
            member, value = ("request", request) if request else ("party", org)
            mark = json.dumps(value, ensure_ascii=False).encode()
            found = [
                index
                for index, body in self.entries()
                if mark in body and _matches(body, member, value)
            ]
        if not found:
            raise NotFoundError("NOT_FOUND", "the published log has no such request")
        return found

    def with_followers(self, first: list[int]) -> list[int]:
        """Add the batches and outcomes of intents."""
        intents = set(first)
        found = set(first)
        for index, body in self.entries():
            if b'"intent":' in body:
                entry = json.loads(body)
                if entry["kind"] in ("batch", "outcome") and entry["intent"] in intents:
                    found.add(index)
        return sorted(found)

    def content(
        self, selection: dict[str, object], chosen: list[int], bounds: tuple[int, int] | None
    ) -> Content:
        """Return the pack's content, nothing disclosed yet."""
        self._landmarks.take(self.entries())
        found, _, gaps = closure(chosen, self._entry, self._landmarks)
        content = Content(selection, found, chosen, bounds, missing=sorted(gaps))
        content.promises = self._promises(content)
        add_materials(self.opened, self.connection, content)
        return content

    def disclose(self, content: Content, names: list[str], answer: Path | None) -> None:
        """Open the commitments that are named, and nothing else."""
        store = OpeningStore(self.opened.deployment.secrets().opening_key)
        fields = [name for name in names if name not in _COMMITTED]
        disclosed = []
        for index in content.chosen:
            try:
                openings = store.openings(self.connection, index)
            except ProofError as error:
                content.missing.append(f"entry {index}: {error}")
                continue
            disclosed += [
                (index, name, openings[name])
                for name in names
                if name in openings.keys() & _COMMITTED
            ]
            if fields and "field_root" in openings:
                self._open_fields(content, index, openings["field_root"], fields, answer)
        content.openings = disclosed
        opened = {name for _, name, _ in disclosed} | {proof.name for _, proof in content.fields}
        content.missing += [f"nothing kept opens {name}" for name in names if name not in opened]

    def _open_fields(
        self, content: Content, index: int, seed: Opening, names: list[str], answer: Path | None
    ) -> None:
        if answer is None:
            raise InvalidRequestError(
                "BAD_REQUEST",
                "released values are not kept; a field is opened with the caller's --answer",
            )
        try:
            told: dict[str, list[object]] = json.loads(read_bytes(answer))
            values = {name: encode(column).encode() for name, column in told.items()}
        except (ValueError, AttributeError, TypeError):
            raise InvalidRequestError("BAD_ANSWER", "the answer is no JSON of columns") from None
        root = raw_digest(json.loads(content.entries[index])["field_root"])
        if fields_root(values, seed.salt) != root:
            raise InvalidRequestError("BAD_ANSWER", "this is not the answer that was released")
        proofs = [(index, prove_field(values, seed.salt, name)) for name in names if name in values]
        content.fields = [*content.fields, *proofs]

    def _promises(self, content: Content) -> list[Promise]:
        """Sign the promises again: the signature of Ed25519 is the one that the caller got."""
        key = self.opened.deployment.secrets().log_key
        made = []
        for index in content.chosen:
            entry: dict[str, Any] = json.loads(content.entries[index])
            if entry["kind"] not in ("outcome", "batch"):
                continue
            covered = [index]
            if "field_root" in entry or (entry["kind"] == "outcome" and "delivered" in entry):
                covered.append(entry["intent"])  # an answer in one part has one promise for both
            if all(each in content.entries for each in covered):
                made.append(_promise(key, self.checkpoint.origin, covered, content))
        return made

    def _entry(self, index: int) -> bytes:
        if index not in self._known:
            self._known[index] = self.reader.entry(index)
        return self._known[index]

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """Yield every published entry with its index."""
        if self.checkpoint.size:
            yield from enumerate(self.reader.entries(0, self.checkpoint.size))


def _promise(key: Ed25519PrivateKey, origin: str, covered: list[int], content: Content) -> Promise:
    leaves = [(index, leaf_hash(content.entries[index])) for index in covered]
    (first, leaf), *also = leaves
    return Promise(tuple(leaves), sign_promise(key, origin, first, leaf, *also))


def _matches(body: bytes, member: str, value: str) -> bool:
    entry = json.loads(body)
    return entry["kind"] in _REQUESTS and entry.get(member) == value
