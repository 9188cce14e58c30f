"""What ends an authority ends its running streams: suspension, withdrawal, a stop, a term."""

import asyncio
import os
import subprocess
import sys

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gateway.deployment import Deployment
from gateway.domain.vocabulary import LicenceKind, Role
from gateway.ingest.loading import load_product
from gateway.registry import certificates, consents, licences, parties, stops
from gateway.registry.arrow_schema import arrow_schema
from gateway.registry.documents import LICENCE_TYPE, sign
from gateway.registry.licences import GrantClaims
from gateway.snapshot.library import SnapshotLibrary
from tests.conftest import ROOT
from tests.gateway.e2e.serving import COMPANY, Site
from tests.gateway.e2e.streams.streaming import (
    BATCH_ROWS,
    got_fields,
    rest,
    rows_of,
    suspend_licence,
    take,
)
from tests.gateway.e2e.wire import check_refusal, drain
from xinguan.v1 import exchange_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")
DENIED, UNKNOWN = "PERMISSION_DENIED", "UNAUTHENTICATED"


# --- suspension, withdrawal, stop -----------------------------------------------------------


def revoke_licence(desk, member):
    desk.run(licences.revoke, member.licence_id)


def suspend_party(desk, member):
    desk.run(parties.suspend, member.party_id)


def revoke_certificate(desk, member):
    desk.run(certificates.revoke, member.fingerprint)


def stop_org(desk, member):
    desk.run(stops.order, f"org:{member.party_id}")


def narrow_licence(desk, member):
    claims = desk.licence_claims(
        member.party_id,
        LicenceKind.ENTERPRISE_CREDIT_FILING,
        licence_id=member.licence_id,
        serial=2,
        grants={"legal_entity_base": GrantClaims(fields=COMPANY[:3])},
    )
    desk.activate(sign(claims, desk.signing_key, LICENCE_TYPE))


@pytest.mark.parametrize(
    ("change", "code", "status", "rule"),
    [
        (suspend_licence, "NO_LICENCE", DENIED, "R30"),
        (revoke_licence, "NO_LICENCE", DENIED, "R30"),
        (suspend_party, "PARTY_SUSPENDED", UNKNOWN, "GATE"),
        (revoke_certificate, "CERTIFICATE_REVOKED", UNKNOWN, "GATE"),
        (stop_org, "EMERGENCY_STOP", DENIED, "R87"),
        (narrow_licence, "LICENCE_CHANGED", DENIED, "GATE"),
    ],
)
async def test_what_ends_an_authority_ends_its_running_stream(
    streams, member, change, code, status, rule
):
    site = streams.site
    async with streams.before.closed():
        call = streams.start(member)
        streams.before.let(2)
        got = await take(call, 2)
        await streams.before.someone_waits()
        change(site.desk, member)  # through another handle on the state
        streams.before.let(1)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rest(call)
    refusal = check_refusal(site, caught.value, code, status, rule=rule, logged=False)
    assert refusal.request_id == got[0].decision.request_id
    check_cut(site, got, code)


def check_cut(site: Site, got: list[exchange_pb2.QueryResponse], code: str) -> None:
    """Check that the log has exactly the batches that came, and an outcome that says why."""
    *batches, outcome = site.of_intent(got[0].decision.intent.index)
    assert [entry["kind"] for entry in batches] == ["batch"] * len(got)
    assert (outcome["kind"], outcome["status"]) == ("outcome", code)
    assert outcome["rows"] == sum(message.batch.rows for message in got)
    assert outcome["bytes"] == sum(len(message.batch.arrow_ipc) for message in got)


@pytest.mark.parametrize("scope", ["all", "product:legal_entity_base"])
async def test_a_wide_stop_ends_running_streams(streams, member, scope):
    site = streams.site
    async with streams.before.closed():
        call = streams.start(member)
        streams.before.let(1)
        got = await take(call, 1)
        site.desk.run(stops.order, scope)
        try:
            streams.before.let(1)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await rest(call)
        finally:
            site.desk.run(stops.lift, scope)
    check_refusal(site, caught.value, "EMERGENCY_STOP", DENIED, rule="R87", logged=False)
    check_cut(site, got, "EMERGENCY_STOP")


async def test_another_process_suspends_a_licence(streams, member):
    site = streams.site
    async with streams.before.closed():
        call = streams.start(member)
        streams.before.let(1)
        got = await take(call, 1)
        await asyncio.to_thread(run_suspend, site.deployment, member.licence_id)
        streams.before.let(1)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rest(call)
    check_refusal(site, caught.value, "NO_LICENCE", DENIED, rule="R30", logged=False)
    check_cut(site, got, "NO_LICENCE")


def run_suspend(deployment: Deployment, licence_id: str) -> None:
    """Suspend a licence by the command line, in a process of its own."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from gateway.cli.main import main; sys.exit(main())",
            *("licence", "suspend", licence_id, "--home", str(deployment.root)),
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "proto")))},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


async def test_a_withdrawn_consent_ends_its_running_stream(streams):
    site = streams.site
    fields = ("uscc", "contract_type", "amount")
    member = site.desk.enrol(grants={"contract_performance": GrantClaims(fields=fields)})
    issuer = site.desk.enrol(Role.CONSENT_ISSUER, kind=None)
    subjects = streams.subjects("contract_performance")
    document = site.desk.consent(issuer.party_id, member.party_id, subjects)
    keys = site.deployment.secrets().consents
    consent = site.desk.state.run(lambda tx: consents.register(tx, document, site.desk.act, keys))
    async with streams.before.closed():
        call = streams.start(member, "contract_performance", fields, consent_id=consent.consent_id)
        streams.before.let(1)
        got = await take(call, 1)
        assert set(got_fields(got)) >= set(fields)
        site.desk.run(consents.withdraw, consent.consent_id)
        streams.before.let(1)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rest(call)
    check_refusal(site, caught.value, "LICENCE_CHANGED", DENIED, logged=False)
    check_cut(site, got, "LICENCE_CHANGED")


async def test_the_end_of_a_term_ends_a_running_stream(streams):
    site = streams.site
    member = site.desk.enrol(not_after=streams.clock() // 1000 + 3_600)
    async with streams.before.closed():
        call = streams.start(member)
        streams.before.let(1)
        got = await take(call, 1)
        streams.clock.ahead_s = 3_700
        try:
            streams.before.let(1)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await rest(call)
        finally:
            streams.clock.ahead_s = 0
    check_refusal(site, caught.value, "NO_LICENCE", DENIED, rule="R30", logged=False)
    check_cut(site, got, "NO_LICENCE")


async def test_a_stream_of_records_that_were_replaced_ends_when_they_are_too_old(streams, tmp_path):
    """What lost its publicity is missing from the new records, and leaves no more from the old."""
    site, name, fields = streams.site, "serious_dishonesty_list", ("uscc", "list_type")
    member = site.desk.enrol(grants={name: GrantClaims(fields=fields)})
    subjects = [code for code in streams.subjects(name) if code is not None]
    empty, same = tmp_path / "empty.parquet", tmp_path / "same.parquet"
    product = site.world.products[name]
    library = SnapshotLibrary(site.deployment.snapshots_directory)
    pq.write_table(arrow_schema(product).empty_table(), empty)
    # The records are as old as the session: the same ones come in again, as of now.
    old = site.world.library.current(name)
    rows = [old.take(old.batch_rows(n), list(product.fields)) for n in range(old.batch_count)]
    pq.write_table(pa.Table.from_batches(rows).cast(arrow_schema(product)), same)
    load_product(site.desk.state, library, product, same, site.desk.act)
    async with streams.before.closed():
        call = streams.start(member, name, fields, subjects=subjects)
        streams.before.let(1)
        got = await take(call, 1)
        try:
            streams.clock.ahead_s = 500
            load_product(site.desk.state, library, product, empty, site.desk.act)
            streams.before.let(1)
            got += await take(call, 1)  # while the feed may lag
            streams.clock.ahead_s = 700
            streams.before.let(1)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await rest(call)
        finally:
            streams.clock.ahead_s = 0
    check_refusal(site, caught.value, "PRODUCT_UNAVAILABLE", "UNAVAILABLE", logged=False)
    check_cut(site, got, "PRODUCT_UNAVAILABLE")


async def test_an_unrelated_act_leaves_a_running_stream_alone(streams, member):
    async with streams.before.closed():
        call = streams.start(member)
        streams.before.let(1)
        got = await take(call, 1)
        streams.site.desk.enrol()
        streams.before.open = True
        streams.before.let(100)
        got += await rest(call)
    whole = await drain(streams.start(member))
    assert rows_of(got[:-1]) == rows_of(whole[:-1])
    assert len(rows_of(whole[:-1])) > 5 * BATCH_ROWS
