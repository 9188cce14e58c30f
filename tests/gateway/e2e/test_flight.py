"""Arrow Flight with pyarrow's own client over mutual TLS, on the port that serves everything."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pytest
import pytest_asyncio
from pyarrow import flight

from adapters.files import FileSource
from gateway.demo.cast import BANK, GRADE_FIELDS
from gateway.domain.vocabulary import LicenceKind, Role
from gateway.ingest.synth import synthesise
from gateway.registry import licences
from gateway.registry.arrow_schema import arrow_schema
from gateway.registry.catalogue import Catalogue
from gateway.registry.licences import GrantClaims
from gateway.release.enforce import ACTION
from gateway.snapshot.library import SnapshotLibrary
from tests.gateway.e2e.serving import OPERATOR, Member, Site
from tests.gateway.e2e.wire import check_silent
from xinguan.client import Identity
from xinguan.v1 import exchange_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")

BATCH_ROWS = 24
ROWS = 230
WORDS = {"purpose": "ENTERPRISE_CREDIT", "scenario": "CREDIT_LOAN"}


@dataclass(frozen=True, slots=True)
class Read:
    """What came through one endpoint."""

    batches: tuple[pa.RecordBatch, ...]
    evidence: tuple[exchange_pb2.QueryResponse, ...]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def wide(site, tmp_path_factory) -> Site:
    """The session's site with grades of many organisations in many batches."""
    home = tmp_path_factory.mktemp("grades")
    product = Catalogue.load().product("public_credit_grade")
    report = synthesise(
        home, companies=ROWS, seed=3, products=("public_credit_grade",), as_of=int(time.time()) - 60
    )
    library = SnapshotLibrary(site.deployment.snapshots_directory)
    now = int(time.time())
    snapshot = library.admit_and_activate(
        FileSource(str(report.files["public_credit_grade"].path), expected=arrow_schema(product)),
        product,
        arrow_schema(product),
        now=now,
        as_of=now - 60,
        quarantined=0,
        batch_rows=BATCH_ROWS,
    )
    assert snapshot.batch_count > 8
    return site


@pytest.fixture
def bank(wide) -> Member:
    """A bank of this test alone, with pseudonymous grades."""
    return make_bank(wide)


def make_bank(site: Site, *, pseudonymous: bool = True) -> Member:
    """Enrol a bank with grades and the base of legal entities."""
    grants = {
        "public_credit_grade": GrantClaims(
            fields=tuple(GRADE_FIELDS), pseudonymous=pseudonymous, minimum_subjects=10
        ),
        "legal_entity_base": GrantClaims(fields=("uscc", "name", "contact_phone")),
    }
    return site.desk.enrol(
        Role.BANK,
        LicenceKind.BANKING,
        grants=grants,
        purposes=("ENTERPRISE_CREDIT",),
        scenarios=("CREDIT_LOAN",),
    )


def connect(site: Site, who: Identity) -> flight.FlightClient:
    """Return pyarrow's own client."""
    client = flight.connect(
        f"grpc+tls://{site.gateway.address}",
        tls_root_certs=who.authority,
        cert_chain=who.certificate,
        private_key=who.key,
    )
    assert isinstance(client, flight.FlightClient)
    return client


def descriptor(
    site: Site, who: Identity, product: str, fields: Sequence[str], **words: object
) -> flight.FlightDescriptor:
    """Return the descriptor of a query."""
    query = site.build(who, product, fields, **({"subjects": ()} | WORDS | words))
    return flight.FlightDescriptor.for_command(query.SerializeToString())


async def plan(
    site: Site, who: Identity, product: str, fields: Sequence[str], **words: object
) -> flight.FlightInfo:
    """Return the flight info of a query."""
    wanted = descriptor(site, who, product, fields, **words)

    def ask() -> flight.FlightInfo:
        with connect(site, who) as client:
            return client.get_flight_info(wanted)

    return await asyncio.to_thread(ask)


async def read(site: Site, who: Identity, ticket: flight.Ticket) -> Read:
    """Read one endpoint to its end."""

    def take() -> Read:
        batches, evidence = [], []
        with connect(site, who) as client:
            for chunk in client.do_get(ticket):
                if chunk.data is not None:
                    batches.append(chunk.data)
                if chunk.app_metadata is not None:
                    message = chunk.app_metadata.to_pybytes()
                    evidence.append(exchange_pb2.QueryResponse.FromString(message))
        return Read(tuple(batches), tuple(evidence))

    return await asyncio.to_thread(take)


async def refused_in_words(site: Site, call, code: str) -> str:
    """Await a call that must be refused; the message alone must teach. Returns it."""
    with pytest.raises((flight.FlightError, pa.ArrowException)) as caught:
        await call
    message = str(caught.value)
    assert code in message
    assert "[" in message
    assert "]" in message  # rule and clause stand in brackets, the remedy after them
    assert message.index("]") < len(message) - 10
    check_silent(site, message)
    return message


async def test_flights_are_the_granted_products(wide, bank):
    def listed():
        with connect(wide, bank.identity) as client:
            return list(client.list_flights())

    flights = await asyncio.to_thread(listed)
    by_name = {info.descriptor.path[0].decode(): info.schema.names for info in flights}
    assert {name: set(fields) for name, fields in by_name.items()} == {
        "public_credit_grade": set(GRADE_FIELDS),
        "legal_entity_base": {"uscc", "name", "contact_phone"},
    }


async def test_a_portfolio_of_named_subjects(wide, bank):
    subjects = wide.population.sample
    info = await plan(
        wide,
        bank.identity,
        "legal_entity_base",
        ("uscc", "name", "contact_phone"),
        subjects=subjects,
    )
    (endpoint,) = info.endpoints
    got = await read(wide, bank.identity, endpoint.ticket)
    table = pa.Table.from_batches(got.batches)
    assert table.schema.equals(info.schema)
    assert sorted(table["uscc"].to_pylist()) == sorted(subjects)
    assert table.schema.field("contact_phone").metadata[ACTION] == b"mask"
    assert got.evidence[-1].outcome.rows == len(subjects)
    summary = exchange_pb2.DecisionSummary.FromString(info.app_metadata)
    assert summary.coverage.product == "legal_entity_base"


async def test_a_whole_product_read_in_parallel(wide, bank):
    info = await plan(wide, bank.identity, "public_credit_grade", GRADE_FIELDS)
    assert len(info.endpoints) == 8
    reads = await asyncio.gather(
        *(read(wide, bank.identity, endpoint.ticket) for endpoint in info.endpoints)
    )
    table = pa.Table.from_batches([batch for got in reads for batch in got.batches])
    snapshot = wide.world.library.current("public_credit_grade")
    assert 0 < table.num_rows <= snapshot.rows
    assert len(set(table["uscc"].to_pylist())) == table.num_rows
    rows = sum(got.evidence[-1].outcome.rows for got in reads)
    assert rows == table.num_rows
    # Every endpoint is an access of its own in the log, each batch with its evidence.
    intents = set()
    for got in reads:
        intents.add(got.evidence[0].decision.intent.index)
        kinds = [entry["kind"] for entry in wide.of_intent(got.evidence[0].decision.intent.index)]
        assert kinds == ["batch"] * len(got.batches) + ["outcome"]
    assert len(intents) == 8
    sequences = [part.batch.sequence for got in reads for part in got.evidence if part.batch.rows]
    assert len(sequences) == len(set(sequences))


async def test_the_evidence_of_a_batch_stood_in_the_log_before_the_batch(wide, bank):
    info = await plan(wide, bank.identity, "public_credit_grade", GRADE_FIELDS)
    got = await read(wide, bank.identity, info.endpoints[0].ticket)
    intent = got.evidence[0].decision.intent.index
    parts = [part for part in got.evidence if part.HasField("batch")]
    assert len(parts) == len(got.batches)
    for part, batch in zip(parts, got.batches, strict=True):
        message = batch.serialize().to_pybytes()
        assert hashlib.sha256(message).digest() == part.batch.digest
        entry = wide.entry(part.batch.evidence.index)
        assert (entry["kind"], entry["intent"]) == ("batch", intent)
        assert entry["rows"] == batch.num_rows == part.batch.rows
    outcome = wide.entry(got.evidence[-1].outcome.entry.index)
    assert (outcome["kind"], outcome["status"]) == ("outcome", "delivered")
    assert outcome["rows"] == sum(batch.num_rows for batch in got.batches)


async def test_two_banks_can_not_join_their_pseudonyms(wide, bank):
    other = make_bank(wide)
    plain = make_bank(wide, pseudonymous=False)
    columns = []
    for who in (bank, bank, other, plain):
        info = await plan(wide, who.identity, "public_credit_grade", GRADE_FIELDS)
        reads = [await read(wide, who.identity, end.ticket) for end in info.endpoints]
        table = pa.Table.from_batches([batch for got in reads for batch in got.batches])
        columns.append(set(table["uscc"].to_pylist()))
    mine, again, theirs, clear = columns
    assert mine == again
    assert len(mine) == len(theirs) == len(clear)
    assert not mine & theirs
    assert not (mine | theirs) & clear


async def test_a_pseudonymous_portfolio_has_a_least_size(wide, bank):
    call = plan(
        wide,
        bank.identity,
        "public_credit_grade",
        GRADE_FIELDS,
        subjects=wide.population.sample[:9],
    )
    await refused_in_words(wide, call, "PORTFOLIO_TOO_SMALL")


async def test_the_schema_alone(wide, bank):
    wanted = descriptor(wide, bank.identity, "public_credit_grade", ("uscc", "grade"))

    def ask():
        with connect(wide, bank.identity) as client:
            return client.get_schema(wanted).schema

    schema = await asyncio.to_thread(ask)
    assert schema.names[:2] == ["uscc", "grade"]
    assert schema.field("uscc").metadata[ACTION] == b"pseudonym"


async def test_a_ticket_is_reusable_and_every_reading_is_logged(wide, bank):
    info = await plan(wide, bank.identity, "public_credit_grade", GRADE_FIELDS)
    first = await read(wide, bank.identity, info.endpoints[2].ticket)
    second = await read(wide, bank.identity, info.endpoints[2].ticket)
    indexes = {got.evidence[0].decision.intent.index for got in (first, second)}
    assert len(indexes) == 2
    sizes = [sum(batch.num_rows for batch in got.batches) for got in (first, second)]
    assert sizes[0] == sizes[1] > 0


@pytest.mark.parametrize("place", [0, 5, 40, -1])
async def test_a_flipped_ticket(wide, bank, place):
    info = await plan(wide, bank.identity, "public_credit_grade", GRADE_FIELDS)
    sealed = bytearray(info.endpoints[0].ticket.ticket)
    sealed[place] ^= 1
    before = len(wide.entries())
    call = read(wide, bank.identity, flight.Ticket(bytes(sealed)))
    await refused_in_words(wide, call, "BAD_TICKET")
    (denial,) = (entry for entry in wide.entries()[before:])
    assert denial["reasons"] == [["GATE", "BAD_TICKET"]]
    assert denial["party"] == bank.party_id


@pytest.mark.parametrize("blob", [b"", b"XT1", b"garbage" * 30])
async def test_a_forged_ticket(wide, bank, blob):
    await refused_in_words(wide, read(wide, bank.identity, flight.Ticket(blob)), "BAD_TICKET")


async def test_a_ticket_of_another_party_or_of_another_key(wide, bank):
    info = await plan(wide, bank.identity, "public_credit_grade", GRADE_FIELDS)
    other = make_bank(wide)
    same_party = wide.desk.issue(bank.party_id)
    for thief in (other.identity, same_party):
        call = read(wide, thief, info.endpoints[0].ticket)
        await refused_in_words(wide, call, "BAD_TICKET")


async def test_an_expired_ticket(open_site, clock):
    site = await open_site(clock_ms=clock)
    who = site.identity(BANK)
    info = await plan(site, who, "public_credit_grade", GRADE_FIELDS)
    assert (await read(site, who, info.endpoints[0].ticket)).batches
    clock.ahead_s = site.deployment.settings.limits.ticket_lifetime_s + 1
    await refused_in_words(site, read(site, who, info.endpoints[0].ticket), "TICKET_EXPIRED")


async def test_a_ticket_to_adverse_records_lives_no_longer_than_their_feed(open_site, clock):
    site = await open_site(clock_ms=clock)
    who = site.identity(BANK)
    subjects = site.population.sample
    info = await plan(site, who, "admin_penalty", ("uscc", "decision_no"), subjects=subjects)
    (endpoint,) = info.endpoints
    assert sum(batch.num_rows for batch in (await read(site, who, endpoint.ticket)).batches)
    clock.ahead_s = 700  # less than a ticket's life, more than the feed may lag (R13)
    assert clock.ahead_s < site.deployment.settings.limits.ticket_lifetime_s
    await refused_in_words(site, read(site, who, endpoint.ticket), "TICKET_EXPIRED")


async def test_a_ticket_is_no_authority(wide, bank):
    info = await plan(wide, bank.identity, "public_credit_grade", GRADE_FIELDS)
    assert (await read(wide, bank.identity, info.endpoints[0].ticket)).batches
    wide.desk.run(licences.suspend, bank.licence_id)
    call = read(wide, bank.identity, info.endpoints[1].ticket)
    message = await refused_in_words(wide, call, "NO_LICENCE")
    assert "R30" in message


@pytest.mark.parametrize(
    "wanted",
    [
        flight.FlightDescriptor.for_path("public_credit_grade"),
        flight.FlightDescriptor.for_command(b"\xff\xff\xff"),
    ],
)
async def test_a_descriptor_that_is_no_query(wide, bank, wanted):
    def ask():
        with connect(wide, bank.identity) as client:
            return client.get_flight_info(wanted)

    await refused_in_words(wide, asyncio.to_thread(ask), "BAD_REQUEST")


async def test_refusals_teach_in_their_message(wide, bank):
    call = plan(wide, bank.identity, "public_credit_grade", GRADE_FIELDS, purpose="CREDIT_REPORT")
    message = await refused_in_words(wide, call, "OUT_OF_SCOPE")
    assert "R32" in message
    stranger = wide.desk.issue(wide.desk.register(Role.BANK), pinned=False)
    call = plan(wide, stranger, "public_credit_grade", GRADE_FIELDS)
    await refused_in_words(wide, call, "UNKNOWN_CERTIFICATE")
    assert OPERATOR not in message


async def test_a_client_without_a_certificate_is_turned_away_in_tls(wide, bank):
    def ask():
        client = flight.connect(
            f"grpc+tls://{wide.gateway.address}", tls_root_certs=bank.identity.authority
        )
        with client:
            return list(client.list_flights(options=flight.FlightCallOptions(timeout=5)))

    with pytest.raises((flight.FlightError, pa.ArrowException)):
        await asyncio.to_thread(ask)
