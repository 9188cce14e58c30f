"""Portfolios over Arrow Flight: uploaded, asked about, exchanged, resumed, given up."""

import asyncio
import hashlib
import time

import grpc
import pyarrow as pa
import pytest
from pyarrow import flight

from arrow_flight import flight_pb2
from gateway.demo.cast import BANK, GRADE_FIELDS, PARTNER
from gateway.domain.errors import NotFoundError
from gateway.doors import flight_sql
from gateway.doors.flight import SERVICE
from gateway.release import portfolio
from gateway.release.portfolio import Portfolios
from tests.gateway.e2e.feeding import until
from tests.gateway.e2e.portfolios.uploading import (
    PRODUCT,
    act,
    admit_grades,
    ask,
    exchange,
    graded,
    subjects_table,
    upload,
)
from tests.gateway.e2e.serving import Member, Site, uscc
from tests.gateway.e2e.test_flight import (
    connect,
    descriptor,
    make_bank,
    plan,
    read,
    refused_in_words,
)
from xinguan.v1 import exchange_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_uploaded_portfolio_is_asked_about(wide, bank, monkeypatch):
    monkeypatch.setattr(portfolio, "PORTION_SUBJECTS", 16)
    subjects = graded(wide)[:100]
    receipt = await upload(wide, bank.identity, subjects_table([*subjects, uscc(777_777)]))
    assert receipt.subjects == 101
    before = len(wide.entries())
    got = await ask(wide, bank.identity, receipt.portfolio)
    assert set(got["uscc"].to_pylist()) <= set(subjects)
    named = await plan(wide, bank.identity, PRODUCT, GRADE_FIELDS, subjects=subjects)
    direct = await read(wide, bank.identity, named.endpoints[0].ticket)
    order = [("uscc", "ascending")]
    table = pa.Table.from_batches(direct.batches)
    assert got.num_rows == table.num_rows > 50
    assert got.sort_by(order).equals(table.sort_by(order))
    intents = [entry for entry in wide.entries()[before:] if entry["kind"] == "intent"]
    # One portion in an intent, and all of them together hold every subject once.
    counts = [entry["subject_count"] for entry in intents]
    assert max(counts[:-1]) == 16
    assert (sum(counts[:-1]), counts[-1]) == (101, 100)


async def test_a_small_pseudonymous_portfolio_is_refused(wide):
    bank = make_bank(wide)
    small = await upload(wide, bank.identity, subjects_table(graded(wide)[:9]))
    call = ask(wide, bank.identity, small.portfolio)
    await refused_in_words(wide, call, "PORTFOLIO_TOO_SMALL")


async def test_batches_of_pseudonyms_do_not_stand_for_the_order_of_the_upload(wide, monkeypatch):
    monkeypatch.setattr(portfolio, "PORTION_SUBJECTS", 16)
    bank, subjects = make_bank(wide), graded(wide)[:160]
    firsts = set()
    for _ in range(2):
        receipt = await upload(wide, bank.identity, subjects_table(subjects))
        info = await plan(wide, bank.identity, PRODUCT, GRADE_FIELDS, portfolio=receipt.portfolio)
        got = await read(wide, bank.identity, info.endpoints[0].ticket)
        firsts.add(frozenset(got.batches[0]["uscc"].to_pylist()))
    assert len(firsts) == 2


async def test_a_handle_serves_its_party_and_key_only(wide, bank):
    receipt = await upload(wide, bank.identity, subjects_table(graded(wide)[:20]))
    other, same_party = make_bank(wide, pseudonymous=False), wide.desk.issue(bank.party_id)
    handle = receipt.portfolio
    flipped = handle[:-1] + ("0" if handle[-1] != "0" else "1")
    forged = [flipped, handle[:-1], "pf1." + "0" * 96, "x", handle.upper()]
    for who, text in [(other.identity, handle), (same_party, handle)] + [
        (bank.identity, text) for text in forged
    ]:
        await refused_in_words(wide, ask(wide, who, text), "PORTFOLIO_UNKNOWN")


async def test_a_portfolio_is_sealed_and_another_process_finds_it(wide, bank):
    subjects = graded(wide)[:30]
    receipt = await upload(wide, bank.identity, subjects_table(subjects))
    reader = wide.desk.state.connect()
    try:
        stored = b"".join(bytes(r[0]) for r in reader.execute("SELECT sealed FROM portfolios"))
        assert not any(subject.encode() in stored for subject in subjects)
        key = wide.deployment.secrets().ticket_key
        elsewhere = Portfolios(
            wide.desk.state.journal, reader, key, life_s=60, per_party=1,
            clock_s=lambda: int(time.time()),
        )  # fmt: skip
        opened = elsewhere.open(receipt.portfolio, bank.party_id, bank.fingerprint)
        assert set(opened.subjects) == set(subjects)
    finally:
        reader.close()


async def test_what_is_at_hand_opens_for_its_holder_only_and_while_it_is_kept(wide, bank):
    receipt = await upload(wide, bank.identity, subjects_table(graded(wide)[:30]))
    ahead_s, handle = 0, receipt.portfolio
    reader = wide.desk.state.connect()
    try:
        elsewhere = Portfolios(
            wide.desk.state.journal, reader, wide.deployment.secrets().ticket_key, life_s=60,
            per_party=1, clock_s=lambda: int(time.time()) + ahead_s,
        )  # fmt: skip
        opened = elsewhere.open(handle, bank.party_id, bank.fingerprint)
        assert elsewhere.open(handle, bank.party_id, bank.fingerprint) is opened
        for party, fingerprint in ((PARTNER.party_id, bank.fingerprint), (bank.party_id, "0" * 64)):
            with pytest.raises(NotFoundError, match="no such portfolio"):
                elsewhere.open(handle, party, fingerprint)
        ahead_s = wide.deployment.settings.limits.portfolio_lifetime_s + 1
        with pytest.raises(NotFoundError, match="no such portfolio"):
            elsewhere.open(handle, bank.party_id, bank.fingerprint)
        ahead_s = 0
        assert elsewhere.open(handle, bank.party_id, bank.fingerprint) is opened
        # Another process deletes it: what is at hand here opens no more.
        await act(wide, bank.identity, "cancel", handle.encode())
        with pytest.raises(NotFoundError, match="no such portfolio"):
            elsewhere.open(handle, bank.party_id, bank.fingerprint)
    finally:
        reader.close()


async def test_an_expired_portfolio_is_unknown_and_swept(open_site, clock):
    site = await open_site(clock_ms=clock)
    who, life_s = site.identity(BANK), site.deployment.settings.limits.portfolio_lifetime_s
    receipt = await upload(site, who, subjects_table(site.population.sample))
    clock.ahead_s = life_s + 1
    await refused_in_words(site, ask(site, who, receipt.portfolio), "PORTFOLIO_UNKNOWN")
    reader = site.desk.state.connect()
    try:
        kept = Portfolios(
            site.desk.state.journal, reader, b"k" * 32, life_s=1, per_party=1,
            clock_s=lambda: clock() // 1000,
        )  # fmt: skip
        await kept.sweep()
        assert reader.execute("SELECT count(*) FROM portfolios").fetchone()[0] == 0
    finally:
        reader.close()


async def test_a_party_keeps_so_many_and_deletes_what_it_does_not_need(wide, bank):
    table = subjects_table(graded(wide)[:12])
    most = wide.deployment.settings.limits.portfolio_entries
    receipts = [await upload(wide, bank.identity, table) for _ in range(most)]
    await refused_in_words(wide, upload(wide, bank.identity, table), "PORTFOLIO_QUOTA")
    assert await act(wide, bank.identity, "cancel", receipts[0].portfolio.encode()) == b""
    call = ask(wide, bank.identity, receipts[0].portfolio)
    await refused_in_words(wide, call, "PORTFOLIO_UNKNOWN")
    await upload(wide, bank.identity, table)


async def test_giving_up_a_plan_deletes_its_portfolio(wide, bank):
    receipt = await upload(wide, bank.identity, subjects_table(graded(wide)[:12]))
    info = await plan(wide, bank.identity, PRODUCT, GRADE_FIELDS, portfolio=receipt.portfolio)
    body = flight_pb2.CancelFlightInfoRequest(
        info=flight_pb2.FlightInfo.FromString(info.serialize())
    ).SerializeToString()
    answer = await act(wide, bank.identity, "CancelFlightInfo", body)
    result = flight_pb2.CancelFlightInfoResult.FromString(answer)
    assert result.status == flight_pb2.CANCEL_STATUS_CANCELLED
    call = read(wide, bank.identity, info.endpoints[0].ticket)
    await refused_in_words(wide, call, "PORTFOLIO_UNKNOWN")


async def test_actions_are_listed_and_a_product_described(wide, bank):
    def listed() -> set[str]:
        with connect(wide, bank.identity) as client:
            return {action.type for action in client.list_actions()}

    own = {"CancelFlightInfo", "cancel", "describe", "resume"}
    assert await asyncio.to_thread(listed) == own | set(flight_sql.ACTIONS)
    answer = await act(wide, bank.identity, "describe", PRODUCT.encode())
    described = exchange_pb2.DescribeProductResponse.FromString(answer)
    assert {field.name for field in described.fields} == set(GRADE_FIELDS)
    call = act(wide, bank.identity, "describe", b"admin_penalty")
    await refused_in_words(wide, call, "UNKNOWN_PRODUCT")
    await refused_in_words(wide, act(wide, bank.identity, "drop"), "BAD_REQUEST")


async def test_an_exchange_answers_at_once_and_is_not_repeated(wide, bank):
    subjects = graded(wide)[:60]
    wanted = descriptor(wide, bank.identity, PRODUCT, GRADE_FIELDS)
    got = await exchange(wide, bank.identity, wanted, subjects_table(subjects))
    receipt = await upload(wide, bank.identity, subjects_table(subjects))
    kept = await ask(wide, bank.identity, receipt.portfolio)
    order = [("uscc", "ascending")]
    assert got.num_rows > 30
    assert got.sort_by(order).equals(kept.sort_by(order))
    call = exchange(wide, bank.identity, wanted, subjects_table(subjects))
    await refused_in_words(wide, call, "REPLAYED")
    call = exchange(wide, bank.identity, wanted, subjects_table(subjects[:50]))
    await refused_in_words(wide, call, "CONFLICT")


async def test_a_signed_exchange_is_sent_to_an_upload(wide, bank):
    query = wide.build(
        bank.identity, PRODUCT, GRADE_FIELDS, subjects=(), purpose="ENTERPRISE_CREDIT",
        scenario="CREDIT_LOAN", sign_it=True,
    )  # fmt: skip
    wanted = flight.FlightDescriptor.for_command(query.SerializeToString())
    call = exchange(wide, bank.identity, wanted, subjects_table(graded(wide)[:20]))
    await refused_in_words(wide, call, "BAD_SIGNATURE")


async def test_a_reading_that_broke_is_resumed_without_reading_again(wide, bank):
    info = await plan(wide, bank.identity, PRODUCT, GRADE_FIELDS)
    whole = [await read(wide, bank.identity, end.ticket) for end in info.endpoints]
    longest = max(range(len(whole)), key=lambda n: len(whole[n].batches))
    ticket, complete = info.endpoints[longest].ticket, whole[longest]
    assert len(complete.batches) >= 2

    def first_only() -> tuple[pa.RecordBatch, int]:
        with connect(wide, bank.identity) as client:
            reader = client.do_get(ticket)
            chunk = reader.read_chunk()
            reader.cancel()  # the client is killed half way
        evidence = exchange_pb2.QueryResponse.FromString(chunk.app_metadata.to_pybytes())
        return chunk.data, evidence.batch.sequence

    got, number = await asyncio.to_thread(first_only)
    request = exchange_pb2.ResumeRequest(ticket=ticket.ticket, first_batch=number + 1)
    resumed = await act(wide, bank.identity, "resume", request.SerializeToString())
    rest = await read(wide, bank.identity, flight.Ticket(resumed))
    sequences = [part.batch.sequence for part in rest.evidence if part.HasField("batch")]
    assert (
        sequences
        == [part.batch.sequence for part in complete.evidence if part.HasField("batch")][1:]
    )
    assert min(sequences) == number + 1
    assert pa.Table.from_batches([got, *rest.batches]).equals(
        pa.Table.from_batches(complete.batches)
    )
    # A record of a later batch is withheld: its row is gone, the numbers stay what they were.
    snapshot = wide.world.library.current(PRODUCT)
    rows = snapshot.batch_rows(number + 1)
    snapshot.withhold(rows[snapshot.shareable(rows, int(time.time()))][:1])
    again = await read(wide, bank.identity, flight.Ticket(resumed))
    assert sequences == [part.batch.sequence for part in again.evidence if part.HasField("batch")]
    assert again.batches[0].num_rows == rest.batches[0].num_rows - 1
    for wrong in (number - 1, 10_000, -1):
        request = exchange_pb2.ResumeRequest(ticket=ticket.ticket, first_batch=wrong)
        call = act(wide, bank.identity, "resume", request.SerializeToString())
        await refused_in_words(wide, call, "BAD_REQUEST")


async def test_a_portfolio_is_resumed_too(wide, bank, monkeypatch):
    monkeypatch.setattr(portfolio, "PORTION_SUBJECTS", 16)
    receipt = await upload(wide, bank.identity, subjects_table(graded(wide)[:100]))
    info = await plan(wide, bank.identity, PRODUCT, GRADE_FIELDS, portfolio=receipt.portfolio)
    ticket = info.endpoints[-1].ticket  # the last four of seven portions
    complete = await read(wide, bank.identity, ticket)
    request = exchange_pb2.ResumeRequest(ticket=ticket.ticket, first_batch=6)
    resumed = await act(wide, bank.identity, "resume", request.SerializeToString())
    rest = await read(wide, bank.identity, flight.Ticket(resumed))
    # Between portions an outcome travels with a batch without rows.
    whole, last = ([b for b in got.batches if b.num_rows] for got in (complete, rest))
    assert [len(whole), len(last)] == [4, 1]
    assert pa.Table.from_batches(last).equals(pa.Table.from_batches(whole[3:]))


async def test_a_limit_holds_over_the_whole_answer(wide, bank):
    info = await plan(wide, bank.identity, PRODUCT, GRADE_FIELDS, limit=30)
    (endpoint,) = info.endpoints
    got = await read(wide, bank.identity, endpoint.ticket)
    assert sum(batch.num_rows for batch in got.batches) == 30
    request = exchange_pb2.ResumeRequest(ticket=endpoint.ticket.ticket, first_batch=1)
    call = act(wide, bank.identity, "resume", request.SerializeToString())
    await refused_in_words(wide, call, "BAD_REQUEST")


async def test_the_digest_of_an_untouched_batch_is_computed_once(wide, bank):
    info = await plan(wide, bank.identity, PRODUCT, GRADE_FIELDS)
    snapshot = wide.world.library.current(PRODUCT)
    for _ in range(2):
        for end in info.endpoints:
            got = await read(wide, bank.identity, end.ticket)
            parts = [part.batch for part in got.evidence if part.HasField("batch")]
            for part, batch in zip(parts, got.batches, strict=True):
                assert hashlib.sha256(batch.serialize()).digest() == part.digest
                rows = snapshot.batch_rows(part.sequence)
                known = snapshot.whole_batch(rows, batch.schema.names)
                if len(rows) == batch.num_rows:
                    assert known is not None
                    assert known.digest == part.digest.hex()


@pytest.mark.parametrize("codec", ["LZ4", "ZSTD"])
async def test_compression_on_request_with_the_digest_of_what_leaves(wide, bank, codec):
    plain = await plan(wide, bank.identity, PRODUCT, GRADE_FIELDS)
    packed = await plan(wide, bank.identity, PRODUCT, GRADE_FIELDS, compression=codec)
    want = await read(wide, bank.identity, plain.endpoints[0].ticket)
    got = await read(wide, bank.identity, packed.endpoints[0].ticket)
    assert pa.Table.from_batches(got.batches).equals(pa.Table.from_batches(want.batches))
    call = wide.channel(bank).unary_stream(
        f"/{SERVICE}/DoGet", flight_pb2.Ticket.SerializeToString, flight_pb2.FlightData.FromString
    )
    frames = [
        frame
        async for frame in call(flight_pb2.Ticket(ticket=packed.endpoints[0].ticket.ticket))
        if frame.data_body
    ]
    assert len(frames) == len(want.batches)
    for frame in frames:
        header = frame.data_header
        message = b"\xff\xff\xff\xff" + len(header).to_bytes(4, "little") + header + frame.data_body
        evidence = exchange_pb2.QueryResponse.FromString(frame.app_metadata)
        assert hashlib.sha256(message).digest() == evidence.batch.digest


async def test_a_reader_that_stops_holds_one_batch_until_it_cancels(open_site, tmp_path_factory):
    site = await open_site()
    admit_grades(site, tmp_path_factory.mktemp("many"), 12_000, 2_000)
    bank = make_bank(site, pseudonymous=False)
    info = await plan(site, bank.identity, PRODUCT, GRADE_FIELDS, limit=1_000_000)
    # A window that doesn't grow, so that a result of this size doesn't fit into it.
    options = [("grpc.http2.bdp_probe", 0), ("grpc.use_local_subchannel_pool", 1)]
    channel = grpc.aio.secure_channel(
        site.gateway.address, bank.identity.credentials(), options=options
    )
    call = channel.unary_stream(f"/{SERVICE}/DoGet", flight_pb2.Ticket.SerializeToString, bytes)(
        flight_pb2.Ticket(ticket=info.endpoints[0].ticket.ticket)
    )
    await call.read()
    before, looks = 0, 0
    while looks < 10:  # until it stands still: it has stopped, not ended
        await asyncio.sleep(0.1)
        still = len(site.entries()) == before and site.world.gate.held(PRODUCT) == 1
        before, looks = len(site.entries()), looks + 1 if still else 0
    assert "outcome" not in [entry["kind"] for entry in site.entries()[-5:]]
    call.cancel()

    def outcomes() -> list[str]:
        entries = site.entries()[before:]
        return [entry["status"] for entry in entries if entry["kind"] == "outcome"]

    await until(outcomes)
    await until(lambda: site.world.gate.held(PRODUCT) == 0)
    assert outcomes() == ["cancelled"]
    await channel.close()
    await check_pieces(site, bank)


async def check_pieces(site: Site, bank: Member) -> None:
    """Batches cut by bytes have the same rows in the same order, under numbers of their own."""

    async def everything() -> tuple[list[pa.RecordBatch], list[int]]:
        info = await plan(site, bank.identity, PRODUCT, GRADE_FIELDS)
        reads = [await read(site, bank.identity, end.ticket) for end in info.endpoints]
        numbers = [p.batch.sequence for got in reads for p in got.evidence if p.HasField("batch")]
        return [batch for got in reads for batch in got.batches], numbers

    whole, numbers = await everything()
    assert numbers == list(range(len(whole)))
    site.world.batch_bytes = max(batch.nbytes for batch in whole) // 3
    pieces, numbers = await everything()
    assert numbers == list(range(4 * len(whole)))
    assert max(batch.nbytes for batch in pieces) <= site.world.batch_bytes
    assert pa.Table.from_batches(pieces).equals(pa.Table.from_batches(whole))
