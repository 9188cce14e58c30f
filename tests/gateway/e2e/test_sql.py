"""Flight SQL with the stock ADBC driver, DuckDB, polars and pandas, over mutual TLS."""

import asyncio
import datetime as dt
import threading
import time
from decimal import Decimal

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import pytest_asyncio
from adbc_driver_manager import NotSupportedError, ProgrammingError

from adapters.files import FileSource
from gateway.demo.cast import BANK, GRADE_FIELDS
from gateway.domain.vocabulary import LicenceKind, Role
from gateway.doors import flight_sql
from gateway.ingest.synth import synthesise
from gateway.registry.arrow_schema import arrow_schema
from gateway.registry.catalogue import Catalogue
from gateway.registry.licences import GrantClaims
from gateway.release.enforce import ACTION
from gateway.snapshot.library import SnapshotLibrary
from gateway.sql.statement import parse
from tests.gateway.e2e.adbc import CREDIT, HEADER, connect, cursor, fetch
from tests.gateway.e2e.serving import COMPANY, Site
from xinguan.signing import sign_request
from xinguan.v1 import exchange_pb2, types_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def graded(site, tmp_path_factory) -> Site:
    """The session's site with grades in many batches, so that an answer has many endpoints."""
    product = Catalogue.load().product("public_credit_grade")
    now = int(time.time())
    report = synthesise(
        tmp_path_factory.mktemp("grades"),
        companies=230,
        seed=3,
        products=("public_credit_grade",),
        as_of=now - 60,
    )
    snapshot = SnapshotLibrary(site.deployment.snapshots_directory).admit_and_activate(
        FileSource(str(report.files["public_credit_grade"].path), expected=arrow_schema(product)),
        product,
        arrow_schema(product),
        now=now,
        as_of=now - 60,
        quarantined=0,
        batch_rows=24,
    )
    assert snapshot.batch_count > 8
    return site


def make_bank(site, *, pseudonymous=False):
    return site.desk.enrol(
        Role.BANK,
        LicenceKind.BANKING,
        grants={
            "public_credit_grade": GrantClaims(
                fields=tuple(GRADE_FIELDS), pseudonymous=pseudonymous, minimum_subjects=10
            )
        },
        purposes=("ENTERPRISE_CREDIT",),
        scenarios=("CREDIT_LOAN",),
    )


async def test_a_statement_takes_the_road_of_every_request(site, agency):
    code = site.population.sample[3]
    before = len(site.entries())
    table = await asyncio.to_thread(
        fetch,
        site,
        agency.identity,
        f"SELECT uscc, name, contact_phone FROM legal_entity_base WHERE uscc = '{code}'",
    )
    assert table["uscc"].to_pylist() == [code]
    # R14: a disputed record leaves only with its label, asked for or not.
    assert table.schema.names == ["uscc", "name", "contact_phone", "dispute_flag"]
    assert table.schema.field("contact_phone").metadata[ACTION] == b"mask"
    kinds = [entry["kind"] for entry in site.entries()[before:]]
    assert kinds == ["intent", "outcome"]
    intent, outcome = site.entries()[before:]
    assert (intent["purpose"], intent["subject_count"]) == ("CREDIT_REPORT", 1)
    assert (outcome["rows"], outcome["status"]) == (1, "delivered")


async def test_the_same_rows_as_query_gives(site, agency):
    answer = await site.query(agency, "legal_entity_base", ("uscc", "name"))
    table = await asyncio.to_thread(
        fetch,
        site,
        agency.identity,
        "SELECT uscc, name FROM legal_entity_base WHERE uscc = ?",
        (site.population.sample[3],),
    )
    with pa.ipc.open_stream(answer[0].batch.arrow_schema + answer[0].batch.arrow_ipc) as reader:
        assert table.to_batches()[0].equals(reader.read_next_batch())


async def test_parameters_are_values_of_their_type(site, agency):
    words = (dt.date(1990, 1, 1), Decimal("0.5"), "460100", 3)
    statement = (
        "SELECT name, region_code FROM legal_entity_base WHERE established_on > ? "
        "AND registered_capital >= ? AND region_code = ? LIMIT ?"
    )
    table = await asyncio.to_thread(fetch, site, agency.identity, statement, words)
    assert table.num_rows == 3
    assert set(table["region_code"].to_pylist()) == {"460100"}
    injected = ("460100' OR '1'='1",)
    statement = "SELECT name FROM legal_entity_base WHERE region_code = ?"
    table = await asyncio.to_thread(fetch, site, agency.identity, statement, injected)
    assert table.num_rows == 0


async def test_no_statement_is_parsed_where_others_are_served(site, agency, monkeypatch):
    parsers = set()

    def noted(text, most):
        parsers.add(threading.current_thread())
        return parse(text, most)

    monkeypatch.setattr(flight_sql, "parse", noted)
    statement = "SELECT name FROM legal_entity_base WHERE region_code = ? LIMIT ?"
    table = await asyncio.to_thread(fetch, site, agency.identity, statement, ("460100", 3))
    assert table.num_rows == 3
    assert parsers
    assert threading.current_thread() not in parsers  # the one of the event loop


async def test_a_filter_on_a_column_that_is_not_selected(site, agency):
    table = await asyncio.to_thread(
        fetch,
        site,
        agency.identity,
        "SELECT name FROM legal_entity_base WHERE region_code = '460100' LIMIT 4",
    )
    assert "region_code" not in table.schema.names
    assert table.num_rows == 4
    # What a filter tells of a field is told by the log as well.
    (intent,) = [e for e in site.entries() if e["kind"] == "intent"][-1:]
    assert "region_code" in intent["fields"]["allow"], intent["fields"]


async def test_an_order_and_a_limit_over_many_endpoints(graded):
    bank = make_bank(graded)
    text = "SELECT uscc, grade FROM public_credit_grade ORDER BY uscc"
    everything = await asyncio.to_thread(fetch, graded, bank.identity, text, **CREDIT)
    codes = everything["uscc"].to_pylist()
    assert len(codes) > 100
    assert codes == sorted(codes)
    first = await asyncio.to_thread(fetch, graded, bank.identity, text + " LIMIT 60", **CREDIT)
    assert first["uscc"].to_pylist() == codes[:60]


async def test_a_pseudonymous_portfolio(graded):
    bank, clear = make_bank(graded, pseudonymous=True), make_bank(graded)
    known = "SELECT uscc FROM public_credit_grade"
    everybody = await asyncio.to_thread(fetch, graded, clear.identity, known, **CREDIT)
    codes = sorted(set(everybody["uscc"].to_pylist()))[:30]
    statement = (
        f"SELECT uscc, grade FROM public_credit_grade WHERE uscc IN ({', '.join('?' * len(codes))})"
    )
    table = await asyncio.to_thread(fetch, graded, bank.identity, statement, codes, **CREDIT)
    assert table.schema.field("uscc").metadata[ACTION] == b"pseudonym"
    assert not set(table["uscc"].to_pylist()) & set(codes)
    few = f"SELECT uscc, grade FROM public_credit_grade WHERE uscc = '{codes[0]}'"
    with pytest.raises(ProgrammingError, match="PORTFOLIO_TOO_SMALL"):
        await asyncio.to_thread(fetch, graded, bank.identity, few, **CREDIT)


async def test_duckdb_reads_through_the_driver(site, agency):
    def count():
        with cursor(site, agency.identity) as found, duckdb.connect() as local:
            found.execute("SELECT region_code, registered_capital FROM legal_entity_base")
            local.register("companies", found.fetch_record_batch())
            return local.sql(
                "SELECT region_code, count(*), sum(registered_capital) FROM companies GROUP BY ALL"
            ).fetchall()

    rows = await asyncio.to_thread(count)
    assert len(rows) > 2
    assert sum(row[1] for row in rows) > 100


async def test_polars_and_pandas_read_through_the_driver(site, agency):
    statement = "SELECT name, established_on FROM legal_entity_base LIMIT 20"

    def read():
        with connect(site, agency.identity) as connection:
            frame = pl.read_database(statement, connection)
            return frame, pd.read_sql(statement, connection)

    polars_frame, pandas_frame = await asyncio.to_thread(read)
    assert polars_frame.height == len(pandas_frame) == 20
    assert polars_frame["name"].to_list() == pandas_frame["name"].tolist()
    assert polars_frame.schema["established_on"] == pl.Date


async def test_the_catalog_is_what_the_licence_grants(site, agency):
    stranger = site.desk.enrol(kind=None)

    def look(who):
        with connect(site, who) as connection:
            objects = connection.adbc_get_objects().read_all().to_pylist()
            return objects, connection.adbc_get_info(), connection.adbc_get_table_types()

    objects, info, types = await asyncio.to_thread(look, agency.identity)
    (catalog,) = objects
    (schema,) = catalog["catalog_db_schemas"]
    assert (catalog["catalog_name"], schema["db_schema_name"]) == ("xinguan", "public")
    columns = {
        table["table_name"]: [column["column_name"] for column in table["table_columns"]]
        for table in schema["db_schema_tables"]
    }
    assert set(columns) == {"legal_entity_base", "admin_penalty"}
    assert set(columns["legal_entity_base"]) == set(COMPANY)
    assert (info["vendor_name"], types) == ("Xinguan", ["TABLE"])
    objects, _, _ = await asyncio.to_thread(look, stranger.identity)
    assert objects[0]["catalog_db_schemas"][0]["db_schema_tables"] == []


async def test_a_star_is_what_the_licence_grants(site, agency):
    table = await asyncio.to_thread(
        fetch, site, agency.identity, "SELECT * FROM legal_entity_base LIMIT 1"
    )
    assert set(table.schema.names) == {*COMPANY, "dispute_flag"}


async def test_a_licence_that_demands_signatures(site):
    agency = site.desk.enrol(signed_requests=True)
    code = site.population.sample[4]
    text = f"SELECT name FROM legal_entity_base WHERE uscc = '{code}'"
    # The driver has no word of its own for this status.
    with pytest.raises(Exception, match=r"SIGNATURE_REQUIRED.*Sign the request"):
        await asyncio.to_thread(fetch, site, agency.identity, text)
    query = exchange_pb2.QueryRequest(
        context=types_pb2.RequestContext(
            idempotency_key="signed-sql-0001",
            purpose="CREDIT_REPORT",
            scenario="ENTERPRISE_REPORT",
            destination="CN",
            operator="analyst-7",
            case_reference="case-7",
        ),
        product="legal_entity_base",
        fields=["name"],
        subjects=[code],
        subject_kind=types_pb2.SUBJECT_KIND_LEGAL_ENTITY,
    )
    query.context.time.FromNanoseconds(time.time_ns())
    words = {
        "idempotency_key": query.context.idempotency_key,
        "time": f"{query.context.time.seconds}.{query.context.time.nanos:09d}",
        "operator": "analyst-7",
        "case_reference": "case-7",
        "signature": sign_request(query, agency.party_id, agency.identity.key),
    }
    table = await asyncio.to_thread(fetch, site, agency.identity, text, **words)
    assert table.num_rows == 1
    other = text.replace(code, site.population.sample[5])
    with pytest.raises(Exception, match="BAD_SIGNATURE"):
        await asyncio.to_thread(fetch, site, agency.identity, other, **words)


@pytest.mark.parametrize(
    ("statement", "error", "code"),
    [
        ("SELECT count(*) FROM legal_entity_base", NotSupportedError, "NOT_SUPPORTED"),
        ("EXPLAIN SELECT name FROM legal_entity_base", NotSupportedError, "NOT_SUPPORTED"),
        ("SELECT lei FROM legal_entity_base", ProgrammingError, "UNKNOWN_FIELD"),
        ("SELECT name FROM pg_catalog", ProgrammingError, "UNKNOWN_PRODUCT"),
        ("SELECT grade FROM public_credit_grade", ProgrammingError, "NO_LICENCE"),
        ("SELECT nonsense FROM public_credit_grade", ProgrammingError, "NO_LICENCE"),
        ("SELECT name FROM legal_entity_base WHERE uscc = 'x'", ProgrammingError, "BAD_ID"),
        ("SELECT name FROM legal_entity_base WHERE name = '", ProgrammingError, "BAD_REQUEST"),
    ],
)
async def test_refusals_teach_and_stand_in_the_log(site, agency, statement, error, code):
    before = len(site.entries())
    with pytest.raises(error) as caught:
        await asyncio.to_thread(fetch, site, agency.identity, statement)
    message = str(caught.value)
    assert code in message
    assert message.index("]", message.index(code)) < len(message) - 10  # the remedy after it
    denials = site.entries()[before:]
    # A driver that may not prepare a statement tries it once more as it is.
    assert {entry["kind"] for entry in denials} == {"denial"}
    assert {entry["party"] for entry in denials} == {agency.party_id}
    assert {reason[1] for entry in denials for reason in entry["reasons"]} == {code}


@pytest.mark.parametrize("missing", ["purpose", "scenario"])
async def test_a_purpose_is_never_guessed(site, agency, missing):
    text = "SELECT name FROM legal_entity_base LIMIT 1"
    with pytest.raises(ProgrammingError, match=f"xinguan-{missing} is missing"):
        await asyncio.to_thread(fetch, site, agency.identity, text, **{missing: ""})
    with pytest.raises(ProgrammingError, match="header of the gateway is unknown"):
        await asyncio.to_thread(fetch, site, agency.identity, text, purposes="CREDIT_REPORT")


async def test_each_cursor_may_state_a_purpose_of_its_own(site):
    def ask(connection, purpose):
        with connection.cursor() as found:
            found.adbc_statement.set_options(**{HEADER + "purpose": purpose})
            found.execute("SELECT name, uscc FROM legal_entity_base LIMIT 2")
            return found.fetch_arrow_table()

    def ask_both():
        with connect(site, site.identity(BANK), purpose="", scenario="CREDIT_LOAN") as connection:
            with pytest.raises(ProgrammingError, match="OUT_OF_SCOPE"):
                ask(connection, "MARKETING")
            return ask(connection, "ENTERPRISE_CREDIT")

    assert (await asyncio.to_thread(ask_both)).num_rows == 2
