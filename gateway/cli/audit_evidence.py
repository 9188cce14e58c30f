"""`xinguan audit evidence`: one file that proves what happened to a request, or in a range."""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.chain import Landmarks, closure
from audit.checkpoint import Checkpoint
from audit.commitment import Opening, commit, prove_field, subject_label
from audit.entry_form import raw_digest
from audit.errors import AuditError, ProofError
from audit.merkle import leaf_hash
from audit.openings import OpeningStore, who
from audit.pack import Content, Promise, write_pack
from audit.promise import sign_promise
from audit.reader import LogReader
from gateway.cli.audit_materials import add_materials
from gateway.cli.audit_reading import log_reading
from gateway.cli.console import HERE, AsJson, Home, Session, read_bytes, session, show
from gateway.cli.log_range import parse_range
from gateway.domain.errors import InvalidRequestError, NotFoundError, UnavailableError
from gateway.identity.keyfiles import PRIVATE_MODE, write_new
from gateway.registry.act import stated_reason
from gateway.release.field_values import encode

_COMMITTED = frozenset({"operator", "case", "subjects", "idempotency", "content", "delivered"})
_REQUESTS = frozenset({"intent", "denial"})


def evidence_command(
    out: Annotated[Path, typer.Option("--out", help="The file to write; it must not exist.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the log.")],
    request: Annotated[str, typer.Option("--request", help="Id of a request.")] = "",
    org: Annotated[str, typer.Option("--org", help="Party id: all its requests.")] = "",
    subject: Annotated[str, typer.Option("--subject", help="All requests about a subject.")] = "",
    span: Annotated[str, typer.Option("--range", help="START:END, END excluded.")] = "",
    disclose: Annotated[
        list[str] | None,
        typer.Option("--disclose", help="operator, case, subjects, or a field of the answer."),
    ] = None,
    answer: Annotated[
        Path | None,
        typer.Option("--answer", help="JSON: field to list of values, as the caller got them."),
    ] = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Write an evidence pack, to be checked with `xinguan-verify` without access to us.

    It holds the chosen entries with their batches and outcomes, every entry that they rest on,
    proofs against the newest checkpoint, policies, inputs and promises. Commitments stay closed
    but for what is named with --disclose.
    """
    if sum(map(bool, (request, org, subject, span))) != 1:
        raise typer.BadParameter("give one of --request, --org, --subject, --range")
    if answer is not None and not request:
        raise typer.BadParameter("--answer goes with --request")
    stated = stated_reason(reason)
    with session(home) as opened, closing(opened.state.connect()) as connection:
        maker = _Maker(opened, connection)
        log_reading(opened, "evidence", 0, maker.checkpoint.size, stated)
        if span:
            chosen, bounds = maker.by_range(span)
        else:
            bounds = None
            chosen = maker.with_followers(maker.find(request, org, subject))
        selection = _selection(request, org, subject, bounds)
        content = maker.content(selection, chosen, bounds)
        maker.disclose(content, disclose or [], answer)
        try:
            pack = write_pack(maker.reader, maker.checkpoint, content)
        except AuditError as error:
            raise UnavailableError("PACK_FAILED", str(error)) from None
    write_new(out, pack, PRIVATE_MODE)  # it may hold what was disclosed
    told = {
        "file": str(out),
        "bytes": len(pack),
        "chosen": len(content.chosen),
        "entries": len(content.entries),
        "log size": maker.checkpoint.size,
        "disclosed": len(content.openings) + len(content.fields),
        "missing": content.missing,
    }
    show(told, as_json, title="Evidence pack")


class _Maker:
    """Collects what one pack holds, from the published log and from the state beside it."""

    def __init__(self, opened: Session, connection: sqlite3.Connection) -> None:
        deployment = opened.deployment
        self.opened = opened
        self.connection = connection
        self.reader = LogReader(deployment.log_directory, deployment.log_vkey)
        try:
            self.checkpoint: Checkpoint = self.reader.checkpoint()
        except AuditError as error:
            raise UnavailableError("CHECKPOINT_PENDING", str(error)) from None
        self._entries: dict[int, bytes] = {}
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
                for index, body in self._all()
                if mark in body and _matches(body, member, value)
            ]
        if not found:
            raise NotFoundError("NOT_FOUND", "the published log has no such request")
        return found

    def with_followers(self, first: list[int]) -> list[int]:
        """Add the batches and outcomes of intents."""
        intents = set(first)
        found = set(first)
        for index, body in self._all():
            if b'"intent":' in body:
                entry = json.loads(body)
                if entry["kind"] in ("batch", "outcome") and entry["intent"] in intents:
                    found.add(index)
        return sorted(found)

    def content(
        self, selection: dict[str, object], chosen: list[int], bounds: tuple[int, int] | None
    ) -> Content:
        """Return the pack's content, nothing disclosed yet."""
        self._landmarks.take(self._all())
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
        from audit.commitment import fields_root

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
        if index not in self._entries:
            self._entries[index] = self.reader.entry(index)
        return self._entries[index]

    def _all(self) -> Iterator[tuple[int, bytes]]:
        if self.checkpoint.size:
            yield from enumerate(self.reader.entries(0, self.checkpoint.size))


def _promise(key: Ed25519PrivateKey, origin: str, covered: list[int], content: Content) -> Promise:
    leaves = [(index, leaf_hash(content.entries[index])) for index in covered]
    (first, leaf), *also = leaves
    return Promise(tuple(leaves), sign_promise(key, origin, first, leaf, *also))


def _matches(body: bytes, member: str, value: str) -> bool:
    entry = json.loads(body)
    return entry["kind"] in _REQUESTS and entry.get(member) == value


def _selection(
    request: str, org: str, subject: str, bounds: tuple[int, int] | None
) -> dict[str, object]:
    """Say how entries were chosen; a subject is not named, only committed to."""
    if bounds is not None:
        return {"by": "range", "start": bounds[0], "end": bounds[1]}
    if request:
        return {"by": "request", "request": request}
    if org:
        return {"by": "party", "party": org}
    from audit.entry_form import digest_text

    return {
        "by": "subject",
        "subject": digest_text(commit(Opening("subject", subject.encode(), os.urandom(32)))),
    }
