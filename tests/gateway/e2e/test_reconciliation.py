"""Reconciliation of a real deployment: silent when all agrees, and every tampering has its name."""

import asyncio
import json
import shutil
import sqlite3
import time
from pathlib import Path

import pytest
import pytest_asyncio

from audit.doctor import Limits
from audit.entries import batch, outcome
from audit.integrator import Integrator
from audit.note import Ed25519Signer
from audit.openings import OpeningStore
from audit.reader import LogReader
from gateway.demo.cast import GRADE_FIELDS
from gateway.deployment import Deployment
from gateway.domain.vocabulary import LicenceKind, Role
from gateway.registry.licences import GrantClaims
from gateway.subjects.reconciliation import MEMORY, reconcile, report_open_intents, summary
from tests.gateway.e2e.conftest import serve_site
from tests.gateway.e2e.serving import copy_stage
from tests.gateway.e2e.test_flight import plan, read

pytestmark = pytest.mark.asyncio(loop_scope="session")
LATER = 1_000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def traded(stage, tmp_path_factory) -> Path:
    """A deployment after some traffic, no longer served."""
    copied = copy_stage(stage, tmp_path_factory.mktemp("traded") / "home")
    async with serve_site(copied) as site:
        agency = site.desk.enrol()
        for at in (3, 4, 5):
            await site.query(agency, subjects=[site.population.sample[at]])
        await site.query(agency, subjects=site.population.sample[:3])
        bank = site.desk.enrol(
            Role.BANK,
            LicenceKind.BANKING,
            grants={
                "public_credit_grade": GrantClaims(
                    fields=tuple(GRADE_FIELDS), pseudonymous=True, minimum_subjects=10
                )
            },
            purposes=("ENTERPRISE_CREDIT",),
            scenarios=("CREDIT_LOAN",),
        )
        info = await plan(site, bank.identity, "public_credit_grade", GRADE_FIELDS)
        for endpoint in info.endpoints:
            await read(site, bank.identity, endpoint.ticket)
        with pytest.raises(Exception, match=r"OUT_OF_SCOPE|NO_LICENCE"):
            await site.query(agency, "public_credit_grade", ["grade"])
    return copied.deployment.root


class Case:
    """A copy of the traded deployment that a test may tamper with."""

    def __init__(self, root: Path):
        self.deployment = Deployment.open(root)
        self.memory = root / MEMORY

    def run(self, sql, *values):
        with sqlite3.connect(self.deployment.state_path) as connection:
            count = connection.execute(sql, values).rowcount
        connection.close()
        assert count, "the tampering touched nothing"

    def append(self, *made):
        """Write entries and publish them; returns their indexes."""
        state = self.deployment.open_state()
        try:
            indexes = state.run(lambda tx: [tx.append(each).index for each in made])
            self.publish(state)
        finally:
            state.close()
        return indexes

    def publish(self, state):
        origin = self.deployment.settings.log.origin
        signer = Ed25519Signer(origin, self.deployment.secrets().log_key)
        integrator = Integrator(
            state.journal, self.deployment.log_directory, origin, signer, lambda: int(time.time())
        )
        integrator.integrate_all()
        integrator.close()

    def entries(self):
        reader = LogReader(self.deployment.log_directory)
        return [json.loads(each) for each in reader.entries(0, reader.checkpoint().size)]

    def first(self, kind):
        return next(at for at, each in enumerate(self.entries()) if each["kind"] == kind)

    def doctor(self, **words):
        words.setdefault("limits", Limits(index_lag_s=10**6))
        state = self.deployment.open_state()
        connection = state.connect()
        try:
            return reconcile(
                LogReader(self.deployment.log_directory, self.deployment.log_vkey),
                connection,
                OpeningStore(self.deployment.secrets().opening_key),
                words["limits"],
                self.memory,
                int(time.time()) + LATER,
                from_start=words.get("from_start", False),
            )
        finally:
            connection.close()
            state.close()


@pytest.fixture
def case(traded, tmp_path):
    shutil.copytree(traded, tmp_path / "case")
    return Case(tmp_path / "case")


async def test_all_agrees(case):
    assert case.doctor() == []
    assert case.doctor() == []
    assert case.memory.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("DELETE FROM deliveries", "delivered_differs"),
        ("UPDATE deliveries SET rows = zeroblob(8)", "delivered_differs"),
        ("UPDATE requests SET party_id = 'uscc:other'", "party_differs"),
        ("DELETE FROM requests", "party_differs"),
        ("DELETE FROM decision_inputs", "input_missing"),
        ("DELETE FROM audit_opening", "openings_missing"),
        ("UPDATE audit_entry SET body = CAST('{}' AS BLOB) WHERE position = 9", "database_differs"),
        ("DELETE FROM audit_entry WHERE position = 9", "gap"),
        ("UPDATE sqlite_sequence SET seq = 5 WHERE name = 'audit_entry'", "gap"),
    ],
)
async def test_what_lies_beside_the_log_and_was_changed(case, sql, kind):
    case.run(sql)
    assert kind in summary(case.doctor())


async def test_entries_that_contradict_each_other(case):
    now = int(time.time())
    words = {"time": now, "node": "demo-1"}
    intent, closed = case.first("intent"), case.first("outcome")
    evidence = {"content": bytes(32), "delivered": bytes(32)}
    case.append(
        outcome(intent=intent, status="delivered", rows=1, size=1, **words),
        outcome(intent=closed, status="delivered", rows=1, size=1, **words),
        batch(intent=10**6, number=0, rows=1, **evidence, **words),
    )
    found = summary(case.doctor())
    assert found["after_outcome"] == 1
    assert found["no_intent"] == 2


async def test_an_intent_without_an_outcome_is_found_and_stays_found(case):
    entry = case.entries()[case.first("intent")]
    state = case.deployment.open_state()

    def reopen(tx):
        index = tx.append(entry).index
        tx.execute(
            "INSERT INTO requests (request_id, party_id, intent) VALUES ('R', 'uscc:x', ?)",
            (index,),
        )
        return index

    index = state.run(reopen)
    case.publish(state)
    (found,) = [each for each in case.doctor() if each.kind == "open_intent"]
    assert (found.index, found.reported) == (index, -1)
    assert "open_intent" not in summary(
        case.doctor(limits=Limits(open_intent_s=10**6, index_lag_s=10**6))
    )
    # The node of that intent starts again after its crash, and says so in the log, once.
    node = entry["node"]
    assert state.run(lambda tx: report_open_intents(tx, "another-node", 1)) == []
    assert state.run(lambda tx: report_open_intents(tx, node, int(time.time()))) == [index]
    assert state.run(lambda tx: report_open_intents(tx, node, int(time.time()))) == []
    case.publish(state)
    state.close()
    (found,) = [each for each in case.doctor() if each.kind == "open_intent"]
    assert case.entries()[found.reported]["kind"] == "intents_open"
    assert case.entries()[found.reported]["intents"] == [index]


async def test_a_clock_that_went_back_and_a_ground_that_is_nowhere(case):
    entry = case.entries()[case.first("intent")]
    entry |= {"time": entry["time"] - 10**5, "licence": 2, "bundle": "A" * 43, "input": "B" * 43}
    (index,) = case.append(entry)
    kinds = {each.kind for each in case.doctor() if each.index == index}
    assert {"clock_back", "unresolved", "input_missing", "openings_missing"} <= kinds
    unresolved = [each.message for each in case.doctor() if each.kind == "unresolved"]
    assert len(unresolved) == 2


async def test_an_index_that_lags_is_found(case):
    found = case.doctor(limits=Limits(index_lag_s=5))
    assert summary(found) == {"index_lags": 1}


async def test_it_goes_on_where_it_stopped_and_starts_over_for_another_log(case, monkeypatch):
    case.doctor()
    read_bundles = []
    real = LogReader.bundle

    def counted(self, number, size):
        read_bundles.append(number)
        return real(self, number, size)

    monkeypatch.setattr(LogReader, "bundle", counted)
    case.doctor()
    assert len(read_bundles) <= 2  # the last entry, and the oldest that no root covers
    state = json.loads(case.memory.read_bytes())
    state["leaf"] = "00" * 32
    state["findings"] = [{"kind": "gap", "index": 1, "message": "of another log", "reported": -1}]
    case.memory.write_text(json.dumps(state))
    assert case.doctor() == []
    for junk in (b"", b"{", b'{"v":1}', b"[]", b'{"v":2}'):
        case.memory.write_bytes(junk)
        assert case.doctor() == []


async def test_a_gateway_that_crashed_reports_its_open_intents_at_its_start(stage, tmp_path):
    copied = copy_stage(stage, tmp_path / "home")
    async with serve_site(copied) as site:
        agency = site.desk.enrol()
        real = site.world.evidence.outcome

        async def never(*_):
            raise asyncio.CancelledError

        site.world.evidence.outcome = never
        with pytest.raises(Exception, match=r".*"):
            await site.query(agency, subjects=[site.population.sample[3]])
        site.world.evidence.outcome = real
        intent = max(i for i, each in enumerate(site.entries()) if each["kind"] == "intent")
    async with serve_site(copied) as site:
        (reported,) = [each for each in site.entries() if each["kind"] == "intents_open"]
        assert (reported["intents"], reported["count"]) == ([intent], 1)
    async with serve_site(copied) as site:
        assert len([each for each in site.entries() if each["kind"] == "intents_open"]) == 1
