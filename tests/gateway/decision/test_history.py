import asyncio
import hashlib
import json
import sqlite3
from dataclasses import replace

import pytest

from audit import entries
from audit.entries import Use
from gateway.decision.bundle import load
from gateway.decision.history import (
    check_leaf,
    check_record,
    kept_input,
    read_logged,
    runs_of,
)
from gateway.decision.input import build_input, canonical, digest_of
from gateway.decision.wasm import WasmEngine
from gateway.domain.errors import ConflictError, NotFoundError, UnavailableError
from tests.policies import facts_world as w
from tests.policies.engines import LAW, decider_of

FACTS = w.facts()
DOCUMENT = canonical(build_input(FACTS, LAW.limits))
BUNDLE = load()


@pytest.fixture
def decided():
    """An allow and a denial on almost the same facts."""

    async def both():
        decider = decider_of(WasmEngine(BUNDLE, deadline_ms=60_000), BUNDLE)
        try:
            return await decider.decide(FACTS), await decider.decide(replace(FACTS, licence=None))
        finally:
            await decider.close()

    return asyncio.run(both())


def use(**more):
    words = {"product": "company", "party": w.PARTY, "purpose": "CREDIT_REPORT"}
    return Use(request="r", subject_count=2, **(words | more))


def logged(entry):
    return read_logged(7, json.dumps(entry).encode())


def intent(fields, **more):
    return logged(
        entries.intent(time=w.NOW, node="n", use=use(**more), snapshot="0" * 64, fields=fields)
    )


def denial(reasons, **more):
    return logged(entries.denial(time=w.NOW, node="n", use=use(**more), reasons=reasons))


def test_an_intent_tells_what_replay_needs():
    found = intent({"a": "allow", "b": "drop"}, bundle=BUNDLE.digest, input=digest_of(DOCUMENT))
    assert (found.index, found.time, found.subjects) == (7, w.NOW, 2)
    assert (found.bundle, found.input) == (BUNDLE.digest, digest_of(DOCUMENT))
    assert found.fields == {"a": "allow", "b": "drop"}
    assert found.decided


def test_only_a_refusal_by_the_gate_alone_was_not_decided():
    assert not denial([("GATE", "BAD_ID")]).decided
    assert denial([("GATE", "ROW_QUOTA")], input=digest_of(DOCUMENT)).decided
    assert denial([("R30", "NO_LICENCE")]).decided


def test_other_kinds_tell_of_no_decision():
    entry = entries.audit_read(time=1, node="n", actor="a", what="entries")
    assert logged(entry) is None


@pytest.fixture
def store():
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE decision_inputs (digest TEXT PRIMARY KEY, body BLOB)")
    yield connection
    connection.close()


@pytest.mark.parametrize(
    ("body", "code"),
    [(DOCUMENT, None), (None, "INPUT_MISSING"), (DOCUMENT + b" ", "INPUT_TAMPERED")],
)
def test_a_kept_input_is_the_one_that_the_log_cites(store, body, code):
    digest = digest_of(DOCUMENT)
    if body is not None:
        store.execute("INSERT INTO decision_inputs VALUES (?, ?)", (digest, body))
    entry = denial([("R30", "NO_LICENCE")], input=digest)
    if code is None:
        assert kept_input(store, entry) == DOCUMENT
        return
    with pytest.raises((NotFoundError, ConflictError)) as caught:
        kept_input(store, entry)
    assert caught.value.code == code


def test_a_record_agrees_with_the_decision_that_made_it(decided):
    allow, deny = decided
    actions = {name: action.value for name, action in allow.actions.items()}
    said = [(reason.rule, reason.code) for reason in deny.reasons]
    check_record(intent(actions), allow)
    check_record(denial([("GATE", "ROW_QUOTA")]), allow)
    check_record(denial(said), deny)
    other = dict.fromkeys(actions, "drop")
    for record, decision in (
        (intent(actions), deny),
        (intent(other), allow),
        (denial(said), allow),
        (denial([("R32", "OUT_OF_SCOPE")]), deny),
        (denial([("GATE", "ROW_QUOTA")]), deny),
    ):
        with pytest.raises(ConflictError) as caught:
            check_record(record, decision)
        assert caught.value.code == "DIVERGED"


def test_an_entry_is_held_to_its_leaf_hash():
    check_leaf(hashlib.sha256(b"\0{}").digest(), b"{}")
    with pytest.raises(UnavailableError):
        check_leaf(hashlib.sha256(b"\0{}").digest(), b"[]")


def test_runs():
    assert runs_of([]) == []
    assert runs_of([1, 2, 3, 7, 9, 10]) == [(1, 3), (7, 7), (9, 10)]
