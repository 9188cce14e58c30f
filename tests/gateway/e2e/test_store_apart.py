"""The store apart over real mutual TLS: abroad reads copies only, and repairs reach them too."""

import asyncio
import json
import shutil
import time
from collections.abc import Callable

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from gateway.cli.audit import app as audit_app
from gateway.demo.cast import AGENCY, PARTNER, WHITELIST
from gateway.demo.stage import COMPANIES
from gateway.registry import whitelists
from tests.gateway.e2e.abroad import (
    AS_PARTNER,
    FIELDS,
    bulk_stage,
    partner,
    small_copies,
    whitelist,
)
from tests.gateway.e2e.conftest import Clock, serve_site
from tests.gateway.e2e.feeding import until
from tests.gateway.e2e.serving import PENALTY, Site
from tests.gateway.e2e.streams.streaming import Hold, Turnstile, rest, rows_of, take
from tests.gateway.e2e.test_decisions import plain_record, publish, shared_records
from tests.gateway.e2e.test_policy_diff import published
from tests.gateway.e2e.test_recall import notices
from tests.gateway.e2e.wire import refused
from xinguan.client import Answer

pytestmark = pytest.mark.asyncio(loop_scope="session")

ASKED = ("uscc", "name", "reg_status")


class Untouchable:
    """A library that nobody may touch."""

    def __init__(self, real) -> None:
        self.real = real

    def __getattr__(self, name):
        raise AssertionError(f"a request from abroad touched the domestic records: {name}")


async def ask(
    site: Site, who=PARTNER, fields=ASKED, product=COMPANIES, ahead_s: int = 0, **words
) -> Answer:
    query = site.build(who, product, fields, **(AS_PARTNER | words))
    query.context.time.seconds += ahead_s
    return Answer(await site.send(who, query))


async def ask_penalties(site: Site, who, subjects, fields=FIELDS) -> list[dict]:
    answer = await ask(site, who, fields, "admin_penalty", subjects=list(subjects))
    return answer.rows()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bulk(stage, tmp_path_factory):
    """A site with small batches and a turnstile before the gate."""
    before = Turnstile()

    def tamper(world) -> None:
        world.batch_rows = 8
        hold = world.gate.hold
        world.gate.hold = lambda product: Hold(hold(product), before)

    patch = pytest.MonkeyPatch()
    small_copies(patch)
    copied = bulk_stage(stage, tmp_path_factory.mktemp("bulk") / "home", gate_wait_ms=250)
    async with serve_site(copied, tamper=tamper) as site:
        yield site, before
    patch.undo()


async def test_a_partner_is_served_while_the_domestic_records_are_not_there(open_site):
    site = await open_site(lambda stage: None)
    before = await ask(site)
    assert before.outcome.rows == 1
    domestic = site.deployment.snapshots_directory
    hidden = domestic.with_name("hidden")
    domestic.rename(hidden)
    try:
        assert (await ask(site)).rows() == before.rows()
        async with site.client(PARTNER) as client:
            assert [product.available for product in await client.products()] == [True]
            assert (await client.describe(COMPANIES)).coverage.snapshot_id
        await refused(site, site.query(AGENCY), "PRODUCT_UNAVAILABLE", "UNAVAILABLE")
    finally:
        hidden.rename(domestic)


async def test_a_request_from_abroad_touches_no_domestic_snapshot(open_site):
    site = await open_site()
    real, site.world.library = site.world.library, Untouchable(site.world.library)  # type: ignore[assignment]  # a spy
    try:
        answer = await ask(site)
        async with site.client(PARTNER) as client:
            await client.products()
            await client.describe(COMPANIES)
    finally:
        site.world.library = real
    assert answer.rows()
    entry = site.entry(answer.decision.intent.index)
    assert answer.decision.coverage.snapshot_id != real.current(COMPANIES).snapshot_id
    copies = [each for each in site.entries() if each["kind"] == "border_copied"]
    assert entry["snapshot"] in {each["snapshot"] for each in copies}


async def test_a_copy_holds_what_a_whitelist_names_and_what_the_gate_needs(open_site):
    site = await open_site()  # on a shared one, other tests' whitelists name further fields
    copy = site.world.abroad.current(COMPANIES)
    assert copy.releasable == set(WHITELIST)
    hidden = {name for name, _ in copy.manifest.columns} - set(WHITELIST)
    needed = {"share_state", "determination_date", "subject_type", "publicity_state"}
    assert hidden == needed | {"xinguan.subject", "xinguan.record"}
    subject = site.population.sample[3]
    for path in copy.directory.iterdir():
        assert subject.encode() not in path.read_bytes()
    assert site.deployment.border_key_path.stat().st_mode & 0o777 == 0o600


async def test_without_a_copy_the_partner_is_refused_by_name(open_site):
    site = await open_site()
    site.gateway.border.close()
    (site.deployment.border_directory / COMPANIES / "current").unlink()
    await refused(site, ask(site), "PRODUCT_UNAVAILABLE", "UNAVAILABLE")
    async with site.client(PARTNER) as client:
        assert [product.available for product in await client.products()] == [False]
    assert Answer(await site.query(AGENCY)).rows()


async def test_a_copy_that_nobody_confirms_serves_no_longer_than_its_limit(open_site, clock: Clock):
    site = await open_site(clock_ms=clock)
    site.gateway.border.close()
    assert (await ask(site)).rows()
    clock.ahead_s = 590
    assert (await ask(site, ahead_s=590)).rows()
    clock.ahead_s = 620
    await refused(site, ask(site, ahead_s=620), "PRODUCT_UNAVAILABLE", "UNAVAILABLE")
    query = site.build(AGENCY)
    query.context.time.seconds += 620
    assert Answer(await site.send(AGENCY, query)).rows()


async def in_turn(site: Site, act: Callable[[], object]) -> None:
    """Do something with the store apart while its keeper doesn't: only one of them may."""

    def work() -> None:
        with site.gateway.border._turn:
            act()

    await asyncio.to_thread(work)


async def looked_after(site: Site, times: int) -> None:
    """Wait until the keeper of the store apart has looked whether anything is to be copied."""
    keeper, looks = site.gateway.border, []
    look = keeper.look

    def counted() -> None:
        try:
            look()
        finally:
            looks.append(1)

    keeper.look = counted
    await until(lambda: len(looks) >= times)
    keeper.look = look


async def test_a_destroyed_store_answers_nothing_until_a_person_opens_it(open_site):
    site = await open_site()
    assert (await ask(site)).rows()
    copier = site.gateway.border._copier  # the command line's own is another process's
    await in_turn(site, lambda: copier.destroy(site.desk.act))
    assert not site.deployment.border_key_path.exists()
    await refused(site, ask(site), "PRODUCT_UNAVAILABLE", "UNAVAILABLE")
    await looked_after(site, 2)  # the keeper looked meanwhile, and left it closed
    await refused(site, ask(site), "PRODUCT_UNAVAILABLE", "UNAVAILABLE")
    kinds = [entry["kind"] for entry in site.entries()]
    assert kinds.count("border_destroyed") == 1
    await in_turn(site, lambda: copier.round(site.desk.act, anew=True))
    assert (await ask(site)).rows()


async def test_a_whitelist_that_shrinks_takes_the_field_out_of_the_store(open_site):
    site = await open_site()
    assert "reg_status" in site.world.abroad.current(COMPANIES).releasable
    whitelist(site.desk, PARTNER.party_id, ("uscc", "name"), COMPANIES)
    site.copy_abroad()
    copy = site.world.abroad.current(COMPANIES)
    assert copy.releasable == {"uscc", "name", "dispute_flag"}
    assert "reg_status" not in copy.schema.names
    answer = await ask(site)
    assert set(answer.table().schema.names) - {"dispute_flag"} == {"uscc", "name"}
    site.desk.run(whitelists.withdraw, PARTNER.party_id, COMPANIES, 2)
    site.copy_abroad()
    assert site.world.abroad.current(COMPANIES) is None
    assert not (site.deployment.border_directory / COMPANIES).exists()


async def test_a_field_that_the_copy_lacks_never_leaves_whatever_was_decided(open_site):
    site = await open_site()
    site.gateway.border.close()
    whitelist(site.desk, PARTNER.party_id, (*WHITELIST, "address"), COMPANIES)
    call = ask(site, fields=("uscc", "address"))
    await refused(site, call, "PRODUCT_UNAVAILABLE", "UNAVAILABLE")
    assert (await ask(site)).rows()


async def test_a_repaired_record_never_leaves_abroad_after_the_acknowledgement(bulk):
    site, _ = bulk
    member = partner(site)
    subject, record = plain_record(site)
    before = await ask_penalties(site, member, [subject])
    assert before
    domestic = Answer(
        await site.query(site.desk.enrol(), "admin_penalty", PENALTY, subjects=[subject])
    )
    assert {row["decision_no"] for row in before} == {row["decision_no"] for row in domestic.rows()}
    copy = site.world.abroad.current("admin_penalty").snapshot_id
    done = await publish(site, record)
    after = await ask_penalties(site, member, [subject])
    assert len(after) == len(before) - 1
    (told,) = await notices(site, member, 1)
    (row,) = told.named
    assert (told.kind, told.reason, row.snapshot) == ("STOP_USE", "REPAIRED", copy)
    assert done.entry.index > 0


async def test_a_repaired_record_is_gone_from_a_stream_abroad_already_running(bulk):
    site, before = bulk
    member = partner(site)
    subjects = list(dict.fromkeys(code for code, _ in shared_records(site)))
    record_of = dict(shared_records(site))
    query = site.build(member, "admin_penalty", FIELDS, subjects=subjects, **AS_PARTNER)
    async with before.closed():
        call = site.exchange(member).Query(query)
        before.let(1)
        got = await take(call, 1)
        await before.someone_waits()
        seen = {row["uscc"] for row in rows_of(got)}
        chosen = next(code for code in subjects if code not in seen)
        await publish(site, record_of[chosen])
        before.open = True
        before.let(1_000)
        got += await rest(call)
    left = rows_of(got[:-1])
    snapshot = site.world.library.current("admin_penalty")
    rows = snapshot.rows_of([record_of[chosen]])
    number = snapshot.take(rows, ["decision_no"]).to_pylist()[0]["decision_no"]
    assert number not in {row["decision_no"] for row in left}
    assert len(got) > 3
    assert len(left) == got[-1].outcome.rows


async def test_a_dispute_is_labelled_abroad_and_a_new_copy_is_sealed_before_it_serves(bulk):
    site, _ = bulk
    member = partner(site)
    subject, record = plain_record(site)
    await publish(site, record, verdict="DISPUTE_OPENED", origin="OBJECTION", dispute_id="SYN-D-1")
    rows = await ask_penalties(site, member, [subject])
    assert any(row["dispute_flag"] for row in rows)
    gone_subject, gone = plain_record(site)
    await publish(site, gone)
    count = len(await ask_penalties(site, member, [gone_subject]))
    first = site.world.abroad.current("admin_penalty").snapshot_id

    def again() -> None:
        shutil.rmtree(site.deployment.border_directory / "admin_penalty")
        site.gateway.border._copier.round(site.desk.act, "admin_penalty")

    await in_turn(site, again)
    assert site.world.abroad.current("admin_penalty").snapshot_id != first
    assert len(await ask_penalties(site, member, [gone_subject])) == count
    assert (
        int(time.time()) - site.world.abroad.checked_at(site.world.abroad.current("admin_penalty"))
        < 60
    )


async def test_the_log_leads_from_an_answer_abroad_to_whoever_admitted_and_allowed_it(open_site):
    site = await open_site()
    answer = await ask(site)
    home = ["--home", str(site.deployment.root), "--json"]
    await published(site, answer.decision.intent.index)

    def run(*words: str) -> dict:
        done = CliRunner().invoke(audit_app, [*words, *home])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    told = await asyncio.to_thread(run, "chain", str(answer.decision.intent.index))
    kinds = {step["kind"] for step in told["steps"]}
    assert {"border_copied", "snapshot_admitted", "whitelist_approved"} <= kinds
    assert told["gaps"] == []
    doctor = await asyncio.to_thread(run, "doctor")
    assert doctor["findings"] == []


async def test_a_grade_that_is_older_than_a_repair_is_withheld_abroad_too(bulk):
    site, _ = bulk
    graded = {code for code, _ in shared_records(site, "public_credit_grade")}
    subject, record = next((code, key) for code, key in shared_records(site) if code in graded)
    member = partner(site, ("uscc", "grade"), "public_credit_grade")
    asked = {"product": "public_credit_grade", "fields": ("uscc", "grade"), "subjects": [subject]}
    assert (await ask(site, member, **asked)).rows()
    await publish(site, record)
    assert (await ask(site, member, **asked)).rows() == []
