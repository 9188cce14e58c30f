"""Makes recorded decisions again from kept inputs and policies; the function that replay takes."""

import contextlib
import json
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Self

from audit.replay import Again, Recorded, ReplayError
from gateway.decision.answer import parse_answer
from gateway.decision.bundle import Bundle
from gateway.decision.engine import Engine
from gateway.decision.input import at_time, digest_of
from gateway.decision.keeping import read_archive
from gateway.decision.opa import OpaServerEngine
from gateway.decision.opa_process import opa_process
from gateway.decision.spelling import Groups, groups_of, names_of
from gateway.decision.wasm import WasmEngine
from gateway.domain.errors import XinguanError

_DEADLINE_MS = 10_000
_REMEMBERED_INPUTS = 20_000

Keep = Callable[[str], bytes]
"""Digest (hex) to what is kept under it; raises a `XinguanError` naming what is missing."""
Compiled = Callable[[Recorded], str]
"""A recorded decision to the digest (hex) of its policy's compiled form."""


class Remaker:
    """Decides again, each recorded decision anew; an asynchronous context manager.

    Inputs and policies are verified against their digests when they are read; nothing is
    decided from memory.

    Args:
        inputs: Kept inputs.
        policies: Kept bundles and compiled policies.
        compiled: Which compiled form belongs to a decision; asked for the embedded engine only.
        opa: The OPA binary, for its engine instead of the embedded one.
    """

    def __init__(
        self, inputs: Keep, policies: Keep, compiled: Compiled, opa: Path | None = None
    ) -> None:
        self._policies = policies
        self._compiled = compiled
        self._opa = opa
        self._open = contextlib.AsyncExitStack()
        self._engines: dict[tuple[str, int | None], tuple[Engine, str]] = {}
        self._input = lru_cache(_REMEMBERED_INPUTS)(lambda digest: _input(inputs, digest))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def decide(self, recorded: Recorded) -> Again:
        """Make one decision again.

        Raises:
            ReplayError: With the code of what is missing, tampered with or failing.
        """
        if not recorded.bundle or not recorded.input:
            raise ReplayError("NOT_CITED", "the entry cites no bundle and no input")
        try:
            document, groups = self._input(recorded.input)
            engine, revision = await self._engine(recorded)
            answer = await engine.evaluate(at_time(document, recorded.time))
            decision = parse_answer(
                answer,
                asked=names_of(groups),
                groups=groups,
                revision=revision,
                input_digest=recorded.input,
                bundle_digest=recorded.bundle,
            )
        except XinguanError as error:
            raise ReplayError(error.code, error.message) from None
        if not decision.valid_from <= recorded.time < decision.valid_until:
            raise ReplayError("POLICY_UNKNOWN_ANSWER", "the decision does not hold at its time")
        return Again(
            digest=decision.digest,
            allow=decision.allow,
            fields={name: action.value for name, action in decision.actions.items()},
            reasons=frozenset((reason.rule, reason.code) for reason in decision.reasons),
        )

    async def _engine(self, recorded: Recorded) -> tuple[Engine, str]:
        key = recorded.bundle, None if self._opa else recorded.policy
        if key not in self._engines:
            archive = self._policies(recorded.bundle)
            data, revision = read_archive(archive)
            if self._opa is not None:
                engine: Engine = await self._start_opa(archive)
            else:
                wasm = self._policies(self._compiled(recorded))
                bundle = Bundle(recorded.bundle, revision, wasm, data, Path())
                engine = WasmEngine(bundle, deadline_ms=_DEADLINE_MS)
            self._open.push_async_callback(engine.close)
            self._engines[key] = engine, revision
        return self._engines[key]

    async def _start_opa(self, archive: bytes) -> Engine:
        if self._opa is None:  # only called with one
            raise ReplayError("NO_OPA", "there is no OPA binary")
        folder = self._open.enter_context(tempfile.TemporaryDirectory())
        path = Path(folder) / "bundle.tar.gz"
        path.write_bytes(archive)
        address = await self._open.enter_async_context(opa_process(self._opa, path))
        return OpaServerEngine(address, deadline_ms=_DEADLINE_MS)


def _input(inputs: Keep, digest: str) -> tuple[bytes, Groups]:
    document = inputs(digest)
    if digest_of(document) != digest:
        raise ReplayError("INPUT_TAMPERED", "the kept input has another digest than the log says")
    try:
        groups = groups_of(json.loads(document))
        names_of(groups)
    except (ValueError, LookupError, TypeError):
        raise ReplayError(
            "INPUT_UNREADABLE", "the kept input is not of a form known here"
        ) from None
    return document, groups
