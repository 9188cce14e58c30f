"""An attacker with a licence asks Flight SQL for what it may not see; each way shows nothing."""

import asyncio
import time

import pyarrow as pa
import pytest
from adbc_driver_manager import NotSupportedError, ProgrammingError
from google.protobuf import any_pb2
from pyarrow import flight

from arrow_flight import flight_sql_pb2 as sql
from gateway.demo.cast import GRADE_FIELDS
from gateway.domain.vocabulary import LicenceKind, Role
from gateway.registry import licences
from gateway.registry.licences import GrantClaims
from tests.gateway.e2e.adbc import CREDIT, call_options, command, connect, fetch, pack
from tests.gateway.e2e.serving import PENALTY
from xinguan.v1 import repair_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")


def open_client(site, who):
    client = flight.connect(
        f"grpc+tls://{site.gateway.address}",
        tls_root_certs=who.authority,
        cert_chain=who.certificate,
        private_key=who.key,
    )
    assert isinstance(client, flight.FlightClient)
    return client


async def ask(site, who, call):
    """Call `call(client)` with pyarrow's own client, in a thread."""

    def run():
        with open_client(site, who) as client:
            return call(client)

    return await asyncio.to_thread(run)


def info_of(statement, **words):
    message = sql.CommandStatementQuery(query=statement)
    return lambda client: client.get_flight_info(command(message), call_options(**words))


def action_of(name, message):
    def call(client):
        results = client.do_action(flight.Action(name, pack(message)), call_options())
        return [result.body.to_pybytes() for result in results]

    return call


def prepare(statement):
    return action_of(
        "CreatePreparedStatement", sql.ActionCreatePreparedStatementRequest(query=statement)
    )


async def handle_of(site, who, statement):
    (body,) = await ask(site, who, prepare(statement))
    packed = sql.ActionCreatePreparedStatementResult()
    outer = any_pb2.Any.FromString(body)
    assert outer.Unpack(packed)
    return packed


@pytest.mark.parametrize(
    "condition",
    [
        "contact_phone = '13800000000'",
        "contact_phone > '1'",
        "contact_phone IN ('13800000000', '13900000000')",
        "contact_phone BETWEEN '1' AND '2'",
        "name <> 'x' AND (contact_phone = '13800000000')",
        "'13800000000' = contact_phone",
    ],
)
@pytest.mark.parametrize("selected", ["contact_phone", "name"])
async def test_a_filter_on_a_masked_field_is_refused_selected_or_not(
    site, agency, condition, selected
):
    statement = f"SELECT {selected} FROM legal_entity_base WHERE {condition}"
    with pytest.raises(ProgrammingError, match="FILTER_ON_HIDDEN_FIELD"):
        await asyncio.to_thread(fetch, site, agency.identity, statement)


@pytest.mark.parametrize(
    ("statement", "error", "code"),
    [
        ("SELECT * FROM legal_entity_base ORDER BY contact_phone", NotSupportedError, "NOT_SUPP"),
        ("SELECT name FROM legal_entity_base ORDER BY name", NotSupportedError, "NOT_SUPPORTED"),
        ("SELECT name FROM legal_entity_base WHERE name LIKE 'a%'", NotSupportedError, "NOT_SUPP"),
        (
            "SELECT name FROM legal_entity_base WHERE length(contact_phone) = 11",
            NotSupportedError,
            "NOT_SUPPORTED",
        ),
        (
            "SELECT name FROM legal_entity_base WHERE CAST(contact_phone AS DATE) = '2020-01-01'",
            NotSupportedError,
            "NOT_SUPPORTED",
        ),
        (
            (
                "SELECT name FROM legal_entity_base WHERE name = (SELECT contact_phone "
                "FROM legal_entity_base LIMIT 1)"
            ),
            NotSupportedError,
            "NOT_SUPPORTED",
        ),
        ("EXPLAIN SELECT * FROM admin_penalty", NotSupportedError, "NOT_SUPPORTED"),
        ("SELECT count(*) FROM admin_penalty", NotSupportedError, "NOT_SUPPORTED"),
        ("SELECT publicity_state FROM admin_penalty", ProgrammingError, "UNKNOWN_FIELD"),
        (
            "SELECT name FROM legal_entity_base WHERE share_state = 'WITHHELD'",
            ProgrammingError,
            "UNKNOWN_FIELD",
        ),
    ],
)
async def test_other_ways_to_look_at_hidden_things(site, agency, statement, error, code):
    with pytest.raises(error, match=code):
        await asyncio.to_thread(fetch, site, agency.identity, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT uscc, grade FROM public_credit_grade ORDER BY uscc",
        "SELECT uscc, grade FROM public_credit_grade WHERE uscc > '9146' LIMIT 1",
        "SELECT grade FROM public_credit_grade WHERE uscc <> '91460099MA24NL1P8F'",
    ],
)
async def test_a_pseudonym_is_no_order_and_no_filter(site, statement):
    bank = site.desk.enrol(
        Role.BANK,
        LicenceKind.BANKING,
        grants={"public_credit_grade": GrantClaims(fields=tuple(GRADE_FIELDS), pseudonymous=True)},
        purposes=("ENTERPRISE_CREDIT",),
        scenarios=("CREDIT_LOAN",),
    )
    with pytest.raises(ProgrammingError, match=r"(FILTER|ORDER)_ON_HIDDEN_FIELD"):
        await asyncio.to_thread(fetch, site, bank.identity, statement, **CREDIT)


async def test_totals_are_not_told(site, agency):
    for statement in ("SELECT * FROM admin_penalty", "SELECT * FROM admin_penalty LIMIT 3"):
        info = await ask(site, agency.identity, info_of(statement))
        assert (info.total_records, info.total_bytes) == (-1, -1)


async def test_limits_count_after_withheld_rows(open_site):
    """A limit that met a withheld row first would give fewer rows and so tell of it."""
    site = await open_site()
    agency = site.desk.enrol()
    snapshot = site.world.library.current("admin_penalty")
    repaired = site.population.penalised
    record = str(snapshot.take(snapshot.locate([repaired]), ["record_id"])["record_id"][0])

    async def table(ending):
        text = f"SELECT {', '.join(PENALTY)} FROM admin_penalty {ending}"
        return await asyncio.to_thread(fetch, site, agency.identity, text)

    everything = await table("")
    assert repaired in everything["uscc"].to_pylist()
    await site.repairs(site.authority).Publish(
        repair_pb2.PublishRequest(decision=site.desk.repair("admin_penalty", record))
    )
    left = await table("")
    codes = left["uscc"].to_pylist()
    assert left.num_rows == everything.num_rows - 1
    assert repaired not in codes
    rows = [snapshot.batch_rows(number) for number in range(snapshot.batch_count)]
    withheld = sum(int((~snapshot.shareable(each, int(time.time()))).sum()) for each in rows)
    assert withheld > 0
    for limit in (1, 2, left.num_rows - 1, left.num_rows, left.num_rows + 1):
        got = await table(f"LIMIT {limit}")
        assert got.num_rows == min(limit, left.num_rows)
        assert got["uscc"].to_pylist() == codes[:limit]
    # One that is repaired and one that never was: the same answer in every form.
    absent = site.population.clean
    for ending in ("", " LIMIT 1", " LIMIT 0"):
        pair = [await table(f"WHERE uscc = '{code}'{ending}") for code in (repaired, absent)]
        assert pair[0].equals(pair[1])
        assert pair[0].num_rows == 0
        assert pair[0].schema.names == left.schema.names


async def test_a_limit_of_nothing_reads_nothing(site, agency):
    info = await ask(site, agency.identity, info_of("SELECT uscc FROM admin_penalty LIMIT 0"))
    assert info.endpoints == []
    before = len(site.entries())
    table = await asyncio.to_thread(
        fetch, site, agency.identity, "SELECT uscc FROM admin_penalty LIMIT 0"
    )
    assert table.num_rows == 0
    assert table.schema.names[0] == "uscc"
    assert len(site.entries()) == before


async def test_a_prepared_statement_tells_no_schema_that_a_query_would_not(site, agency):
    found = await handle_of(site, agency.identity, "SELECT uscc, name FROM legal_entity_base")
    assert pa.ipc.read_schema(pa.py_buffer(found.dataset_schema)).names[:2] == ["uscc", "name"]
    for statement in (
        "SELECT grade FROM public_credit_grade",
        "SELECT grade FROM public_credit_grade WHERE uscc = ?",
        "SELECT * FROM contract_performance WHERE paid_amount > ?",
    ):
        with pytest.raises(flight.FlightUnauthorizedError, match="NO_LICENCE"):
            await ask(site, agency.identity, prepare(statement))
    for statement in (
        "SELECT lei FROM legal_entity_base",
        "SELECT name FROM legal_entity_base WHERE lei = ?",
        "SELECT name FROM legal_entity_base WHERE no_such_thing = ?",
    ):
        with pytest.raises(pa.ArrowInvalid, match="UNKNOWN_FIELD"):
            await ask(site, agency.identity, prepare(statement))


async def test_a_handle_is_no_authority_and_of_one_party(site, agency):
    found = await handle_of(site, agency.identity, "SELECT name FROM legal_entity_base LIMIT 2")
    query = sql.CommandPreparedStatementQuery(
        prepared_statement_handle=found.prepared_statement_handle
    )

    def plan(client):
        return client.get_flight_info(command(query), call_options())

    assert len((await ask(site, agency.identity, plan)).endpoints) == 1
    other = site.desk.enrol()
    same_party = site.desk.issue(agency.party_id)
    for thief in (other.identity, same_party):
        with pytest.raises(pa.ArrowInvalid, match="BAD_TICKET"):
            await ask(site, thief, plan)
    flipped = bytearray(found.prepared_statement_handle)
    flipped[20] ^= 1
    forged = sql.CommandPreparedStatementQuery(prepared_statement_handle=bytes(flipped))
    with pytest.raises(pa.ArrowInvalid, match="BAD_TICKET"):
        await ask(
            site, agency.identity, lambda c: c.get_flight_info(command(forged), call_options())
        )
    site.desk.run(licences.suspend, agency.licence_id)
    with pytest.raises(flight.FlightUnauthorizedError, match="NO_LICENCE"):
        await ask(site, agency.identity, plan)


async def test_a_ticket_of_a_statement_is_bound_as_every_ticket(site, agency):
    info = await ask(site, agency.identity, info_of("SELECT name FROM legal_entity_base LIMIT 2"))
    (endpoint,) = info.endpoints
    blob = endpoint.ticket.ticket
    read = await ask(site, agency.identity, lambda c: c.do_get(flight.Ticket(blob)).read_all())
    assert read.num_rows == 2
    # Every message has a batch, also the last one: the stock driver reads no other.
    chunks = await ask(
        site, agency.identity, lambda c: [part.data for part in c.do_get(flight.Ticket(blob))]
    )
    assert None not in chunks
    assert chunks[-1].num_rows == 0
    flipped = flight.Ticket(blob[:-1] + bytes([blob[-1] ^ 1]))
    with pytest.raises(pa.ArrowInvalid, match="BAD_TICKET"):
        await ask(site, agency.identity, lambda c: c.do_get(flipped).read_all())
    other = site.desk.enrol()
    with pytest.raises(pa.ArrowInvalid, match="BAD_TICKET"):
        await ask(site, other.identity, lambda c: c.do_get(flight.Ticket(blob)).read_all())


async def test_metadata_of_another_is_ones_own(site, agency):
    """The ticket of metadata is its command: whoever shows it sees its own licence."""
    message = sql.CommandGetTables(include_schema=True)

    def tables(client):
        info = client.get_flight_info(command(message), call_options())
        assert info.total_records == -1
        return info.endpoints[0].ticket

    ticket = await ask(site, agency.identity, tables)
    mine = await ask(site, agency.identity, lambda c: c.do_get(ticket).read_all())
    assert set(mine["table_name"].to_pylist()) == {"legal_entity_base", "admin_penalty"}
    stranger = site.desk.enrol(kind=None)
    theirs = await ask(site, stranger.identity, lambda c: c.do_get(ticket).read_all())
    assert theirs.num_rows == 0
    unknown = site.desk.issue(site.desk.register(Role.BANK), pinned=False)
    with pytest.raises(flight.FlightUnauthenticatedError, match="UNKNOWN_CERTIFICATE"):
        await ask(site, unknown, lambda c: c.do_get(ticket).read_all())


async def test_what_flight_sql_has_beside_reading_is_refused(site, agency):
    who = agency.identity
    update = any_pb2.Any(
        type_url="type.googleapis.com/arrow.flight.protocol.sql.CommandStatementUpdate",
        value=b"\n\x0bDROP TABLE t",
    )
    descriptor = flight.FlightDescriptor.for_command(update.SerializeToString())

    def upload(client):
        writer, reader = client.do_put(descriptor, pa.schema([]), call_options())
        with writer:
            writer.done_writing()
            return reader.read()

    for call in (
        upload,
        lambda c: c.get_flight_info(descriptor, call_options()),
        lambda c: c.get_flight_info(
            command(sql.CommandStatementQuery(query="SELECT 1", transaction_id=b"x")),
            call_options(),
        ),
    ):
        with pytest.raises((pa.ArrowNotImplementedError, NotImplementedError), match="NOT_SUPP"):
            await ask(site, who, call)
    for name in ("BeginTransaction", "CancelQuery"):
        with pytest.raises(pa.ArrowInvalid, match="ListActions names"):
            await ask(site, who, action_of(name, sql.CommandGetCatalogs()))
    broken = any_pb2.Any(
        type_url="type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery",
        value=b"\xff\xff",
    )
    noise = flight.FlightDescriptor.for_command(broken.SerializeToString())
    with pytest.raises(pa.ArrowInvalid, match="BAD_REQUEST"):
        await ask(site, who, lambda c: c.get_flight_info(noise, call_options()))


async def test_a_huge_statement_and_a_deep_one(site, agency):
    long = "SELECT name FROM legal_entity_base WHERE name = '" + "x" * (70 << 10) + "'"
    deep = "SELECT name FROM legal_entity_base WHERE " + "(" * 2_000 + "name = 'x'" + ")" * 2_000
    for statement in (long, deep):
        with pytest.raises(ProgrammingError, match="BAD_REQUEST"):
            await asyncio.to_thread(fetch, site, agency.identity, statement)


async def test_several_sets_of_parameters(site, agency):
    def many():
        with connect(site, agency.identity) as connection, connection.cursor() as found:
            rows = pa.record_batch({"0": ["460100", "460200"]})
            found.execute("SELECT name FROM legal_entity_base WHERE region_code = ?", rows)

    with pytest.raises(NotSupportedError, match="NOT_SUPPORTED"):
        await asyncio.to_thread(many)
