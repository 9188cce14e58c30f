"""A proved answer to "who accessed this subject": checked by the client itself."""

from dataclasses import dataclass
from datetime import datetime

from audit.access import Access
from audit.access_check import accesses_of
from audit.access_proof import check_accesses
from audit.errors import AuditError
from xinguan.v1 import audit_pb2


class ProofError(Exception):
    """The gateway's proof does not hold, or does not prove what the answer says."""


@dataclass(frozen=True, slots=True)
class ProvedAccesses:
    """Accesses with their proof.

    Args:
        accesses: In the order of the log.
        complete_below: Below this log index nothing is missing; what follows is told only.
        log_size: Entries under the checkpoint of the proof.
        destroyed: How many entries about the subject were destroyed after their retention.
        snapshots_gone: How many exports of whole products can't be told any more.
        next_index: Ask again with it for the rest; 0 when there is none.
        proof: The document, to be kept: it can be checked at any time, by anyone.
    """

    accesses: tuple[Access, ...]
    complete_below: int
    log_size: int
    destroyed: int
    snapshots_gone: int
    next_index: int
    proof: bytes


def check_answer(
    request: audit_pb2.ListAccessesRequest, answer: audit_pb2.ListAccessesResponse, vkey: str
) -> ProvedAccesses:
    """Check an answer against its own proof.

    Args:
        request: What was asked.
        answer: What came.
        vkey: Verifier key of the log, known beforehand.

    Raises:
        ProofError: Something does not hold.
    """
    start = getattr(request, "from").seconds if request.HasField("from") else 0
    end = request.to.seconds if request.HasField("to") else 1 << 62
    try:
        proved = check_accesses(answer.proof, vkey)
        shown = accesses_of(
            proved,
            start=start,
            end=end,
            first=request.first_index,
            next_first=answer.next_index,
        )
    except AuditError as error:
        raise ProofError(str(error)) from None
    if proved.subject != request.subject:
        raise ProofError("the proof is about another subject")
    if [each.index for each in shown if each.index < proved.complete_below] != [
        each.index for each in answer.accesses if each.index < proved.complete_below
    ]:
        raise ProofError("the answer does not list what the proof shows")
    return ProvedAccesses(
        accesses=tuple(shown),
        complete_below=proved.complete_below,
        log_size=proved.checkpoint.size,
        destroyed=sum(each.entries for each in answer.destroyed),
        snapshots_gone=len(answer.snapshots_gone),
        next_index=answer.next_index,
        proof=answer.proof,
    )


def build_request(
    subject: str,
    reason: str,
    start: datetime | None,
    end: datetime | None,
    first_index: int,
    consent_id: str,
) -> audit_pb2.ListAccessesRequest:
    """Return a request for a proved answer; times without a zone are the machine's own."""
    request = audit_pb2.ListAccessesRequest(
        subject=subject,
        reason=reason,
        first_index=first_index,
        consent_id=consent_id,
        with_proof=True,
    )
    if start is not None:
        getattr(request, "from").FromSeconds(int(start.timestamp()))
    if end is not None:
        request.to.FromSeconds(int(end.timestamp()))
    return request
