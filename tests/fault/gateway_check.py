"""What callers got, held against the log that the gateway left: no byte without its intent."""

import hashlib
import json
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.commitment import commit
from audit.entry_form import digest_text
from audit.errors import ProofError
from audit.merkle import leaf_hash
from audit.openings import OpeningStore
from audit.promise import verify_promise
from audit.sequence import open_reader, read_bodies
from gateway.deployment import Deployment
from tests.fault.gateway_load import Seen
from xinguan.v1 import types_pb2


@dataclass
class Verdict:
    """What was looked at, and what does not hold."""

    messages: int = 0
    batches: int = 0
    rows: int = 0
    promises: int = 0
    answered: int = 0
    refused: int = 0
    cut: int = 0
    cut_with_data: int = 0
    open_intents: int = 0
    entries: int = 0
    problems: list[str] = field(default_factory=list)


class LogOfGateway:
    """The sequencer's table of a gateway that is down, and the keys of its openings."""

    def __init__(self, deployment: Deployment) -> None:
        secrets = deployment.secrets()
        self._connection = open_reader(deployment.state_path)
        self._openings = OpeningStore(secrets.opening_key)
        self._origin = deployment.settings.log.origin
        self._key: Ed25519PublicKey = secrets.log_key.public_key()
        rows = read_bodies(self._connection, 0, 1 << 40)
        self.contiguous = [row[0] for row in rows] == list(range(len(rows)))
        self.bodies = [row[2] for row in rows]
        self.entries = [json.loads(each) for each in self.bodies]

    def close(self) -> None:
        self._connection.close()

    def find(self, index: int, leaf: bytes) -> dict[str, object]:
        """Return the entry that a promise names; raises when the log holds another or none."""
        if not 0 <= index < len(self.bodies) or leaf_hash(self.bodies[index]) != leaf:
            raise ProofError(f"the promised entry {index} is not in the log")
        return self.entries[index]

    def promised(self, promise: types_pb2.Promise) -> None:
        """Check a signed promise, and that all entries under it are there."""
        also = tuple((each.index, each.leaf_hash) for each in promise.also)
        verify_promise(
            self._key, self._origin, promise.index, promise.leaf_hash, promise.signature, *also
        )
        for index, leaf in ((promise.index, promise.leaf_hash), *also):
            self.find(index, leaf)

    def commits_to(self, index: int, digest: bytes) -> None:
        """Check that an entry commits to exactly the bytes of this digest."""
        opening = self._openings.openings(self._connection, index)["content"]
        if opening.value != digest:
            raise ProofError(f"the entry {index} is about other bytes")
        if digest_text(commit(opening)) != self.entries[index]["content"]:
            raise ProofError(f"the entry {index} does not commit to its opening")


def check_calls(log: LogOfGateway, calls: list[Seen]) -> Verdict:
    """Check every message that any caller ever got."""
    verdict = Verdict(entries=len(log.entries))
    if not log.contiguous:
        verdict.problems.append("the indexes of the log have gaps")
    for seen in calls:
        verdict.messages += len(seen.messages)
        setattr(verdict, seen.ending, getattr(verdict, seen.ending) + 1)
        try:
            _check_call(log, seen, verdict)
        except (ProofError, KeyError) as error:
            verdict.problems.append(f"{type(error).__name__}: {error}")
    intents = {at for at, entry in enumerate(log.entries) if entry["kind"] == "intent"}
    closed = {entry["intent"] for entry in log.entries if entry["kind"] == "outcome"}
    verdict.open_intents = len(intents - closed)
    return verdict


def _check_call(log: LogOfGateway, seen: Seen, verdict: Verdict) -> None:
    intent = types_pb2.Promise()
    batches = []
    for message in seen.messages:
        if message.HasField("decision"):
            intent = message.decision.intent
            entry = log.find(intent.index, intent.leaf_hash)
            if (entry["kind"], entry["request"]) != ("intent", message.decision.request_id):
                raise ProofError("the promised intent is another entry")
        if message.HasField("batch"):
            batches.append(message.batch)
            _check_batch(log, message.batch, intent, verdict)
        if message.HasField("outcome"):
            _check_outcome(log, message.outcome, batches, intent)
            verdict.promises += 1
    verdict.cut_with_data += bool(batches) and seen.ending == "cut"
    if seen.ending == "answered" and not (seen.messages and seen.messages[-1].HasField("outcome")):
        raise ProofError("an answer ended well without its outcome")


def _check_batch(log, batch, intent, verdict: Verdict) -> None:  # type: ignore[no-untyped-def]  # messages of the contract
    verdict.batches += 1
    verdict.rows += batch.rows
    if not intent.leaf_hash:
        raise ProofError("data came before its intent")
    if batch.arrow_ipc and hashlib.sha256(batch.arrow_ipc).digest() != batch.digest:
        raise ProofError("a batch is not what its digest says")
    if not batch.evidence.leaf_hash:
        return  # a small answer: its outcome is the evidence, and comes in the same message
    log.promised(batch.evidence)
    verdict.promises += 1
    entry = log.find(batch.evidence.index, batch.evidence.leaf_hash)
    wanted = {"kind": "batch", "intent": intent.index, "number": batch.sequence, "rows": batch.rows}
    if {name: entry[name] for name in wanted} != wanted:
        raise ProofError("the evidence of a batch is about something else")
    log.commits_to(batch.evidence.index, batch.digest)


def _check_outcome(log, outcome, batches, intent) -> None:  # type: ignore[no-untyped-def]  # messages of the contract
    log.promised(outcome.entry)
    entry = log.find(outcome.entry.index, outcome.entry.leaf_hash)
    wanted = {
        "kind": "outcome", "intent": intent.index, "rows": outcome.rows, "bytes": outcome.bytes,
        "status": "delivered",
    }  # fmt: skip
    if {name: entry[name] for name in wanted} != wanted or outcome.rows != sum(
        each.rows for each in batches
    ):
        raise ProofError("the outcome is about something else")
    digests = b"".join(each.digest for each in batches)
    whole = hashlib.sha256(b"xinguan/delivery/v1\0" + digests).digest()
    log.commits_to(outcome.entry.index, whole)
