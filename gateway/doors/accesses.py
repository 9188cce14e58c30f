"""Who accessed a subject, for auditors and for the subject itself; and the status in short."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.timestamp_pb2 import Timestamp

from audit.access import Access
from audit.access_proof import provable, prove_accesses
from audit.commitment import Opening, commit
from audit.errors import NoteError
from audit.indexer import covered
from audit.reader import LogReader
from audit.sequence import next_index
from audit.store import Reader
from gateway.domain.errors import InvalidRequestError
from gateway.domain.party import Caller
from gateway.doors.duties import Duty, includes
from gateway.doors.subject_name import canonical_subject
from gateway.registry.act import stated_reason
from gateway.release.world import World
from gateway.store.state import State
from gateway.subjects.accesses import AccessFinder, Found, Window
from gateway.subjects.binding import require_own
from gateway.subjects.monitor import ReconciliationMonitor
from gateway.subjects.reconciliation import summary
from xinguan.v1 import audit_pb2

_MAX_REASON = 256
_MAX_SUBJECT = 64
_ROOT_WAIT_S = 3.0
_POLL_S = 0.05
LogReading = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True)
class SubjectKeys:
    """Keys of the index and of the log.

    Args:
        log_key: Signs proofs.
        index_key: Labels subjects in the index of accesses, 32 bytes.
        consent_key: Labels subjects of consents, 32 bytes.
    """

    log_key: Ed25519PrivateKey = field(repr=False)
    index_key: bytes = field(repr=False)
    consent_key: bytes = field(repr=False)


class AccessDesk:
    """Answers `ListAccesses` and `GetStatus` once the caller is known."""

    def __init__(
        self,
        state: State,
        world: World,
        reader: LogReader,
        keys: SubjectKeys,
        monitor: ReconciliationMonitor,
    ) -> None:
        """Take the state, the published log and the keys."""
        self._state = state
        self._world = world
        self._reader = reader
        self._keys = keys
        self._monitor = monitor
        self._finder = AccessFinder(reader, world.library, keys.index_key)

    async def list_accesses(
        self, caller: Caller, request: audit_pb2.ListAccessesRequest, log_reading: LogReading
    ) -> audit_pb2.ListAccessesResponse:
        """Check who asks about whom, log the reading, and answer.

        Raises:
            DeniedError: `ROLE_FORBIDDEN` or `NOT_OWN_ACCESSES`.
            InvalidRequestError: `BAD_REQUEST`; `BAD_ID` for what no request could name.
        """
        auditor = includes(caller, Duty.READ_LOG)
        if not auditor:
            require_own(
                self._world.registry.view(),
                caller,
                request.subject,
                request.consent_id,
                self._keys.consent_key,
                self._world.clock_ms() // 1000,
            )
        if not 0 < len(request.subject) <= _MAX_SUBJECT or len(request.reason) > _MAX_REASON:
            raise InvalidRequestError("BAD_REQUEST", "name the subject and why you ask")
        if auditor and not request.reason:
            raise InvalidRequestError("BAD_REQUEST", "name the subject and why you ask")
        if request.first_index < 0:
            raise InvalidRequestError("BAD_REQUEST", "a log index is not negative")
        asked = audit_pb2.ListAccessesRequest()
        asked.CopyFrom(request)
        asked.subject = canonical_subject(request.subject)
        opening = Opening("subject", asked.subject.encode(), os.urandom(32))
        await log_reading(
            caller,
            "accesses" if auditor else "own_accesses",
            subject=commit(opening),
            reason=stated_reason(request.reason),
            opening=opening,
        )
        return await asyncio.to_thread(self._answer, asked)

    async def status(self) -> audit_pb2.GetStatusResponse:
        """Return how log, index and evidence agree, in short."""
        return await asyncio.to_thread(self._status)

    def _answer(self, request: audit_pb2.ListAccessesRequest) -> audit_pb2.ListAccessesResponse:
        window = Window(
            start=getattr(request, "from").seconds if request.HasField("from") else 0,
            end=request.to.seconds if request.HasField("to") else 1 << 62,
            first=request.first_index,
        )
        deadline = time.monotonic() + (_ROOT_WAIT_S if request.with_proof else 0)
        while True:
            connection = self._state.connect()
            try:
                with connection.moment():  # one state for the list, the lookups and the roots
                    segments, published = provable(connection, self._published())
                    if published or time.monotonic() >= deadline:
                        below = segments[-1].past if segments else 0
                        return self._told(connection, request, window, below)
            finally:
                connection.close()
            # A root was committed to and its checkpoint is under way.
            time.sleep(_POLL_S)

    def _told(
        self,
        connection: Reader,
        request: audit_pb2.ListAccessesRequest,
        window: Window,
        complete_below: int,
    ) -> audit_pb2.ListAccessesResponse:
        found = self._finder.find(connection, request.subject, window)
        answer = _response(found, complete_below)
        if request.with_proof:
            wanted = found.wanted(request.subject)
            answer.proof = prove_accesses(connection, self._reader, self._keys.log_key, wanted)
        return answer

    def _status(self) -> audit_pb2.GetStatusResponse:
        connection = self._state.connect()
        try:
            answer = audit_pb2.GetStatusResponse(
                entries=next_index(connection),
                published=self._published(),
                index_covers=covered(connection),
            )
        finally:
            connection.close()
        latest = self._monitor.latest
        if latest is not None:
            answer.reconciled_at.FromSeconds(latest.at)
            for kind, count in summary(latest.findings).items():
                answer.findings.add(kind=kind, count=count)
        return answer

    def _published(self) -> int:
        """Return the size of the published tree; 0 before the first checkpoint."""
        try:
            return self._reader.checkpoint().size
        except NoteError:
            return 0


def _response(found: Found, complete_below: int) -> audit_pb2.ListAccessesResponse:
    answer = audit_pb2.ListAccessesResponse(
        accesses=[_access(each) for each in found.accesses],
        next_index=found.next_first,
        complete_below=complete_below,
        snapshots_gone=found.snapshots_gone,
    )
    for each in found.destroyed:
        until = Timestamp(seconds=each.until)
        answer.destroyed.add(index=each.index, entries=each.entries, until=until)
    return answer


def _access(each: Access) -> audit_pb2.Access:
    return audit_pb2.Access(
        index=each.index,
        time=Timestamp(seconds=each.time),
        party=each.party,
        purpose=each.purpose,
        product=each.product,
        fields=sorted(f"{name}:{action}" for name, action in each.fields.items()),
        refused=each.refused,
        licence_index=each.licence,
        scenario=each.scenario,
        destination=each.destination,
        consent_index=each.consent,
        status=each.status,
        rows=each.rows,
        subject_count=each.subjects,
        bulk_rows=each.bulk_rows,
    )
