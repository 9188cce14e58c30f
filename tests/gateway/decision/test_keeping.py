"""Policies kept for ever: written with their activation, verified when read."""

from contextlib import closing
from dataclasses import replace

import pytest

from gateway.announcement import announce_start
from gateway.config import parse_settings
from gateway.decision.bundle import load
from gateway.decision.keeping import (
    compiled_of,
    is_kept,
    keep,
    kept,
    read_archive,
    wasm_digest,
)
from gateway.domain.errors import ConflictError, NotFoundError
from gateway.store.state import State

BUNDLE = load()


@pytest.fixture
def state(tmp_path):
    state = State.open(tmp_path / "state.sqlite3")
    yield state
    state.close()


def entries(state):
    import json

    with closing(state.connect()) as connection:
        rows = connection.execute("SELECT body FROM audit_entry ORDER BY position").fetchall()
    return [json.loads(row[0]) for row in rows]


async def start(state, bundle=BUNDLE, now=1_800_000_000):
    return await announce_start(state, parse_settings('node = "n"\n'), {}, bundle, now)


async def test_an_activation_and_what_it_activates_are_one_transaction(state):
    announced = await start(state)
    activation = entries(state)[announced.policy]
    assert activation["kind"] == "policy_activated"
    with closing(state.connect()) as connection:
        assert kept(connection, BUNDLE.digest) == BUNDLE.archive.read_bytes()
        compiled = compiled_of(connection, BUNDLE.digest, announced.policy)
        assert compiled == compiled_of(connection, BUNDLE.digest, None) == wasm_digest(BUNDLE)
        assert kept(connection, compiled) == BUNDLE.wasm


async def test_a_restart_activates_nothing_anew_and_another_compiled_form_does(state):
    first = await start(state)
    assert (await start(state)).policy == first.policy
    other = replace(BUNDLE, wasm=BUNDLE.wasm + b"\0")
    second = await start(state, other)
    kinds = [entry["kind"] for entry in entries(state)]
    assert kinds.count("policy_activated") == 2
    with closing(state.connect()) as connection:
        assert compiled_of(connection, BUNDLE.digest, first.policy) == wasm_digest(BUNDLE)
        assert compiled_of(connection, BUNDLE.digest, second.policy) == wasm_digest(other)
        with pytest.raises(NotFoundError) as caught:
            compiled_of(connection, BUNDLE.digest, 999)
    assert caught.value.code == "COMPILED_MISSING"


async def test_a_bundle_that_changed_meanwhile_is_not_activated(state, tmp_path):
    path = tmp_path / "bundle.tar.gz"
    path.write_bytes(BUNDLE.archive.read_bytes() + b"\0")
    with pytest.raises(ConflictError) as caught:
        await start(state, replace(BUNDLE, archive=path))
    assert caught.value.code == "BUNDLE_TAMPERED"
    assert entries(state) == []


def test_what_is_missing_or_changed_is_named(state):
    state.run(lambda tx: keep(tx, BUNDLE))
    assert state.run(lambda tx: is_kept(tx, BUNDLE.digest))
    with closing(state.connect()) as connection, pytest.raises(NotFoundError) as caught:
        kept(connection, "00" * 32)
    assert caught.value.code == "BUNDLE_MISSING"
    state.run(lambda tx: tx.execute("UPDATE policy_artefacts SET body = ?", (b"0",)))
    with closing(state.connect()) as connection, pytest.raises(ConflictError) as wrong:
        kept(connection, BUNDLE.digest)
    assert wrong.value.code == "BUNDLE_TAMPERED"


@pytest.mark.parametrize("archive", [b"", b"\x1f\x8b", b"no archive"])
def test_an_archive_that_can_not_be_read_is_refused(archive):
    with pytest.raises(ConflictError):
        read_archive(archive)


def test_an_archive_gives_data_and_revision():
    assert read_archive(BUNDLE.archive.read_bytes()) == (BUNDLE.data, BUNDLE.revision)
