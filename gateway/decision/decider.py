"""One decision per request: facts in, a decision out, deny on doubt."""

import asyncio
import json

from gateway.decision.answer import parse_answer
from gateway.decision.bundle import Bundle
from gateway.decision.engine import Engine
from gateway.decision.input import at_time, build_input, canonical, digest_of
from gateway.decision.law import LawTable
from gateway.decision.memo import Kept, Memo, anchors_of, quick_key
from gateway.decision.spelling import Groups, groups_of, names_of
from gateway.domain.decision import Decision
from gateway.domain.errors import NotFoundError, UnavailableError
from gateway.domain.facts import Facts

_MEMO_SIZE = 8192  # decisions; about 10 KiB each


class Decider:
    """Decides requests with one engine and one bundle, and remembers while a decision holds.

    Used by one event loop. A failure of the engine is never remembered.

    Args:
        engine: Where the policy is evaluated.
        bundle: The verified bundle that must answer.
        law: The law tables.
        deadline_ms: Longest time that a decision may take.
        memo_size: Greatest number of decisions kept.
    """

    def __init__(
        self,
        engine: Engine,
        bundle: Bundle,
        law: LawTable,
        deadline_ms: int = 50,
        *,
        memo_size: int = _MEMO_SIZE,
    ) -> None:
        self._engine = engine
        self._bundle = bundle
        self._law = law
        self._deadline_s = deadline_ms / 1000
        self._quick = Memo(memo_size)
        self._by_digest = Memo(memo_size)

    async def decide(self, facts: Facts) -> Decision:
        """Return the decision on one request.

        Raises:
            UnavailableError: `POLICY_UNAVAILABLE` when the engine is stopped or fails,
                `POLICY_TIMEOUT` past the deadline, `POLICY_UNDEFINED` without an answer,
                `POLICY_MISMATCH` when another bundle answers, `POLICY_UNKNOWN_ANSWER` when the
                answer is not understood. All of them mean that nothing leaves.
            InvalidRequestError: `UNKNOWN_FIELD` when a field is not in the contract.
        """
        key = quick_key(facts, self._law.limits)
        kept = self._quick.find(key, facts.now)
        if kept is None:
            given = build_input(facts, self._law.limits)
            document = canonical(given)
            digest = digest_of(document)
            kept = self._by_digest.find(digest, facts.now)
            decision = (
                kept.decision
                if kept is not None
                else await self._ask(
                    document, digest, facts.now, facts.request.decided, groups_of(given)
                )
            )
            kept = Kept(decision, document, anchors_of(facts))
            self._by_digest.keep(digest, kept)
            self._quick.keep(key, kept)
        else:
            # Its input is asked for by digest, so it must not fall out before its key does.
            self._by_digest.keep(kept.decision.input_digest, kept)
        return kept.decision

    def input_for(self, input_digest: str) -> bytes:
        """Return the canonical input of a recent decision, for content-addressed keeping.

        It has no `now`: `gateway.decision.input.at_time` puts the time of the log entry in.

        Raises:
            NotFoundError: `NOT_FOUND` when the decision is no longer remembered.
        """
        kept = self._by_digest.peek(input_digest)
        if kept is None:
            raise NotFoundError("NOT_FOUND", "the input of this decision is not kept here")
        return kept.document

    @property
    def bundle_digest(self) -> str:
        """SHA-256 of the bundle that decides, hex."""
        return self._bundle.digest

    async def replay(self, document: bytes, now: int) -> Decision:
        """Decide a kept input again, as of `now`, under this bundle; nothing is remembered.

        Raises:
            UnavailableError: As `decide`.
        """
        groups = groups_of(json.loads(document))
        return await self._ask(document, digest_of(document), now, names_of(groups), groups)

    async def close(self) -> None:
        """Close the engine."""
        await self._engine.close()

    async def _ask(
        self, document: bytes, digest: str, now: int, asked: tuple[str, ...], groups: Groups
    ) -> Decision:
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await self._engine.evaluate(at_time(document, now))
        except TimeoutError as error:
            raise UnavailableError(
                "POLICY_TIMEOUT", "the policy engine did not answer within its deadline"
            ) from error
        decision = parse_answer(
            answer,
            asked=asked,
            groups=groups,
            revision=self._bundle.revision,
            input_digest=digest,
            bundle_digest=self._bundle.digest,
        )
        if not decision.valid_from <= now < decision.valid_until:
            raise UnavailableError("POLICY_UNKNOWN_ANSWER", "the decision does not hold now")
        return decision
