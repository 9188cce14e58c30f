"""Asks witnesses to cosign a checkpoint (C2SP tlog-witness 1.0.0), all of them at once.

A witness that is slow or broken costs its own cosignature and, after some failures, is left
alone for a while. A witness that has seen more of the log than this node has, or another tree
of the same size, is no nuisance: it says that this node is about to fork its log. Nothing is
signed then until a person has looked.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp

from audit.checkpoint import Checkpoint
from audit.cosignature import cosigned_at
from audit.errors import ForkClaimedError, NoteError
from audit.note import open_note
from audit.trust_policy import PolicyWitness
from audit.witness_protocol import ADD_CHECKPOINT, format_request, parse_size

_OK: Final = 200
_CONFLICT: Final = 409
_UNPROCESSABLE: Final = 422
_MAX_ANSWER_BYTES: Final = 1 << 16
_MAX_REST_S: Final = 16
# A cosignature says when it was made; one that was made long before it was asked for is a replay.
_SKEW_S: Final = 300

Prove = Callable[[int, int], Sequence[bytes]]


@dataclass(slots=True)
class _Known:
    """What is remembered of a witness: the size it cosigned last, and how it behaved."""

    size: int | None = None
    failures: int = 0
    rest_until: int = 0


class WitnessClient:
    """Asks the witnesses of a policy; its owner calls it from one thread at a time.

    Args:
        witnesses: Those without a URL are never asked.
        clock: Unix seconds.
        timeout_s: Seconds that a round may take.
    """

    def __init__(
        self, witnesses: Iterable[PolicyWitness], clock: Callable[[], int], timeout_s: float
    ) -> None:
        self._witnesses = [each for each in witnesses if each.url]
        self._clock = clock
        self._timeout_s = timeout_s
        self._known = {each.name: _Known() for each in self._witnesses}

    def cosign(self, checkpoint: Checkpoint, prove: Prove) -> list[str]:
        """Ask every witness that is not resting, and wait for all of them or for the time-out.

        Args:
            checkpoint: A checkpoint that is durable already.
            prove: Makes a consistency proof between two sizes of the log.

        Returns:
            Verified signature lines, each with its newline.

        Raises:
            ForkClaimedError: A witness holds another history of this log.
        """
        return asyncio.run(self._round(checkpoint, prove))

    async def _round(self, checkpoint: Checkpoint, prove: Prove) -> list[str]:
        now = self._clock()
        awake = [each for each in self._witnesses if self._known[each.name].rest_until <= now]
        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            answers = await asyncio.gather(
                *(self._ask(session, each, checkpoint, prove) for each in awake),
                return_exceptions=True,
            )
        lines: list[str] = []
        claims: list[ForkClaimedError] = []
        for witness, answer in zip(awake, answers, strict=True):
            known = self._known[witness.name]
            if isinstance(answer, str):
                known.size, known.failures, known.rest_until = checkpoint.size, 0, 0
                lines.append(answer)
                continue
            if isinstance(answer, ForkClaimedError):
                # It is asked again each time: a claim may not be forgotten by waiting.
                claims.append(answer)
                continue
            if not isinstance(answer, (NoteError, aiohttp.ClientError, OSError, TimeoutError)):
                raise answer
            known.failures += 1
            known.rest_until = now + min(1 << min(known.failures, 8), _MAX_REST_S)
        if claims:
            raise claims[0]
        return lines

    async def _ask(
        self,
        session: aiohttp.ClientSession,
        witness: PolicyWitness,
        checkpoint: Checkpoint,
        prove: Prove,
    ) -> str:
        known = self._known[witness.name]
        old = checkpoint.size if known.size is None else min(known.size, checkpoint.size)
        status, body = await self._post(session, witness, old, checkpoint, prove)
        if status == _CONFLICT:
            seen = parse_size(body)
            if seen > checkpoint.size:
                raise ForkClaimedError("a witness has seen more of this log than this node holds")
            if seen == old:
                # Some witnesses answer so, instead of 422, when the roots of one size differ.
                raise ForkClaimedError("a witness has seen another tree of this size")
            old = known.size = seen
            status, body = await self._post(session, witness, old, checkpoint, prove)
        if status == _UNPROCESSABLE:
            raise ForkClaimedError("a witness has seen a tree that this one does not extend")
        if status != _OK:
            raise NoteError("the witness did not cosign")
        return self._cosignature(witness, checkpoint, body)

    async def _post(
        self,
        session: aiohttp.ClientSession,
        witness: PolicyWitness,
        old: int,
        checkpoint: Checkpoint,
        prove: Prove,
    ) -> tuple[int, bytes]:
        proof: Sequence[bytes] = ()
        if 0 < old < checkpoint.size:
            proof = await asyncio.to_thread(prove, old, checkpoint.size)
        body = format_request(old, proof, checkpoint.note)
        url = f"{witness.url.rstrip('/')}/{ADD_CHECKPOINT}"
        async with session.post(url, data=body, allow_redirects=False) as response:
            answer = bytearray()
            async for chunk in response.content.iter_chunked(_MAX_ANSWER_BYTES):
                answer += chunk
                if len(answer) > _MAX_ANSWER_BYTES:
                    raise NoteError("the answer of the witness is too long")
            return response.status, bytes(answer)

    def _cosignature(self, witness: PolicyWitness, checkpoint: Checkpoint, body: bytes) -> str:
        """Take the witness's own line out of its answer, verified; lines of others are ignored.

        Raises:
            NoteError: There is none, it does not hold, or it was not made just now.
        """
        text = checkpoint.note[: checkpoint.note.rindex(b"\n\n") + 1]
        opened = open_note(text + b"\n" + body, [witness.verifier])
        at = cosigned_at(opened.signatures[0])
        if abs(at - self._clock()) > _SKEW_S:
            raise NoteError("the cosignature was not made now")
        for line in body.decode().splitlines(keepends=True):
            try:
                open_note(text + b"\n" + line.encode(), [witness.verifier])
            except NoteError:
                continue
            return line
        raise NoteError("the witness did not cosign")
