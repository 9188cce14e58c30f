"""Every vector of domain-rules 5.3 over mutual TLS, on the registers' state and the real books.

The table is `border_vectors.VECTORS`. Below it stand the vectors that take several requests, each
named like a line of the table; those that need a clock which moves are in `test_border_turns`. That
none is missing is said by `test_border_table`.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final

import grpc
import numpy as np
import pytest
import pytest_asyncio

from arrow_flight import flight_pb2, flight_pb2_grpc
from gateway.border.counters_law import CountClass
from gateway.domain.border import Register
from gateway.domain.errors import InvalidRequestError
from gateway.domain.vocabulary import LicenceKind, Role, SubjectKind
from tests.gateway.e2e.border_asking import (
    ask,
    crossed,
    given_of,
    personal_fields_cross,
    refused_with,
    shows,
)
from tests.gateway.e2e.border_vectors import (
    NO_MECHANISM,
    PERSON,
    PHONE,
    VECTORS,
    Vector,
    a_debtor,
)
from tests.gateway.e2e.bureau import (
    COMPANY_PRODUCT,
    CROSSING,
    PERSON_PRODUCT,
    SCOPE,
    open_bureau,
    subjects_of,
)
from tests.gateway.e2e.conftest import serve_site
from tests.gateway.e2e.serving import Site, copy_stage
from tests.gateway.e2e.wire import check_denial, drain, read_details
from xinguan.client import Answer

pytestmark = pytest.mark.asyncio(loop_scope="session")
ORDINARY, SENSITIVE = CountClass.ORDINARY, CountClass.SENSITIVE
# --- The table --------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def open_contracts(stage, tmp_path_factory) -> AsyncIterator[Site]:
    """A site where ordinary personal information may cross."""
    copied = copy_stage(stage, tmp_path_factory.mktemp("open") / "home")
    async with serve_site(copied, tamper=personal_fields_cross) as served:
        yield served


@pytest.fixture
def place(request: pytest.FixtureRequest, vector: Vector) -> Site:
    """The site that a vector is asked on."""
    found: Site = request.getfixturevalue("open_contracts" if vector.ask == PHONE else "site")
    found.desk.check_publicity()
    return found


@pytest.mark.parametrize("vector", VECTORS, ids=[vector.name for vector in VECTORS])
async def test_the_table(place, vector):
    bureau = open_bureau(place, **given_of(vector, place.desk.act.now))
    for kind, persons in zip((ORDINARY, SENSITIVE), vector.sent, strict=True):
        if persons:
            bureau.declare(kind, persons)
    important = "important" in vector.name
    try:
        for act in vector.done:
            act(bureau)
        call = ask(bureau, vector.ask, **vector.words)
        if vector.codes:
            await refused_with(bureau, call, vector.codes)
            assert bureau.counts() == vector.sent  # nobody is counted for a refusal
            return
        answer = crossed(await call)
    finally:
        if important:  # of the product, not of this bureau alone
            bureau.state(Register.IMPORTANT, notified=False)
    told = {reason.code for reason in answer.decision.reasons}
    assert set(vector.dropped.values()) <= told
    assert not set(vector.dropped) & set(answer.table().schema.names)
    assert answer.table().num_rows >= 1
    if vector.counted is not None:
        ordinary, sensitive = vector.sent
        assert bureau.counts() == (ordinary + vector.counted[0], sensitive + vector.counted[1])


CROWDS: Final = (
    # The class, the threshold, what the exporter has below it, and how many places it is given.
    (ORDINARY, 100_000, "", 5),
    (ORDINARY, 1_000_000, "SCC", 5),
    (SENSITIVE, 1, "", 0),
    (SENSITIVE, 10_000, "SCC", 5),
)


def companies_of(site: Site) -> list[str]:
    """Return companies in the order of the register."""
    snapshot = site.world.library.current(COMPANY_PRODUCT)
    assert snapshot is not None
    rows = snapshot.take(np.arange(snapshot.manifest.rows), ["uscc", "subject_type"]).to_pylist()
    return [row["uscc"] for row in rows if row["subject_type"] == "LEGAL_ENTITY"]


# --- Counts that take more than one request ---------------------------------------------------


@shows("R63", "14 the same person three times")
async def test_the_same_person_three_times_counts_once_also_by_another_partner(site):
    bureau, other = open_bureau(site), open_bureau(site)
    for _ in range(3):
        crossed(await bureau.about_a_person())
    assert bureau.counts() == (0, 1)
    crossed(await other.about_a_person())  # another exporter's count is its own
    assert (bureau.counts(), other.counts()) == ((0, 1), (0, 1))


@shows("R64", *(f"14-16 a crowd at {kind} {number:,}" for kind, number, _, _ in CROWDS))
@pytest.mark.parametrize(
    ("kind", "threshold", "has", "places"),
    CROWDS,
    ids=[f"{kind} {number:,}" for kind, number, _, _ in CROWDS],
)
async def test_a_crowd_gets_exactly_the_places_left(open_contracts, kind, threshold, has, places):
    """All at once; the last ones find no mechanism that would do, or are told to ask anew."""
    site = open_contracts
    site.desk.check_publicity()
    bureau = open_bureau(site, **({"mechanism": {"kind": has}} if has else NO_MECHANISM))
    if places:
        bureau.declare(kind, threshold - 1 - places)
    who = companies_of(site) if kind is ORDINARY else subjects_of(site, "NATURAL_PERSON")
    crowd = who[: places + 8]
    assert len(crowd) == places + 8
    bureau.consent_id = bureau.consent(subjects=crowd)
    what = PHONE if kind is ORDINARY else PERSON
    calls = [ask(bureau, what, subjects=[each]) for each in crowd]
    done = await asyncio.gather(*calls, return_exceptions=True)
    failures = [each for each in done if isinstance(each, BaseException)]
    assert len(done) - len(failures) == places
    for failure in failures:
        assert isinstance(failure, grpc.aio.AioRpcError)
        assert read_details(failure)[0].reason in {"XB_MECHANISM", "XB_COUNT_MOVED"}
    count = threshold - 1
    assert bureau.counts() == ((count, 0) if kind is ORDINARY else (0, count))


@shows("R63", "14 a person as ordinary and as sensitive")
async def test_who_is_sent_as_ordinary_and_as_sensitive_counts_in_both(open_contracts):
    open_contracts.desk.check_publicity()
    fields = (*CROSSING, "legal_rep_name", "org_code_or_id")
    scope = tuple(sorted({*SCOPE, *fields}))
    bureau = open_bureau(open_contracts, fields=fields, mechanism={"fields": scope})
    bureau.declare(ORDINARY, 10)
    debtor = a_debtor(open_contracts)
    bureau.consent_id = bureau.consent(subjects=[debtor])
    for asked, counted in (
        (("name", "legal_rep_name"), (11, 0)),
        (("name", "org_code_or_id"), (11, 1)),
        (("name", "legal_rep_name", "org_code_or_id"), (11, 1)),
    ):
        words = {"subjects": [debtor], "consent_id": bureau.consent_id}
        answer = crossed(await bureau.ask(PERSON_PRODUCT, asked, **words))
        assert set(asked) <= set(answer.table().schema.names)
        assert bureau.counts() == counted


@shows("R63", "14 an individual business is a person")
async def test_an_individual_business_is_counted_as_a_person(site):
    kinds = (SubjectKind.SOLE_PROP, SubjectKind.LEGAL_ENTITY)
    bureau = open_bureau(site, kinds=kinds)
    (trader, *_) = subjects_of(site, "SOLE_PROP")
    bureau.consent_id = bureau.consent(subjects=[trader])
    words = {"subjects": [trader], "subject_kind": "SOLE_PROP"}
    assert crossed(await bureau.about_a_person(**words)).table().num_rows
    assert bureau.counts() == (0, 1)
    bureau.declare(SENSITIVE, 9_999)
    await refused_with(bureau, bureau.about_a_person(**words), ("XB_MECHANISM",))


@shows("R63", "14 a person asked for as a company")
async def test_a_person_who_is_asked_for_as_a_company_is_not_found(site):
    bureau = open_bureau(site)
    (trader, *_) = subjects_of(site, "SOLE_PROP")
    as_company = {"subject_kind": "LEGAL_ENTITY"}
    answer = crossed(await bureau.about_a_person(subjects=[trader], **as_company))
    assert answer.table().num_rows == 0
    with pytest.raises(grpc.aio.AioRpcError) as caught:  # whose identifier is no company's
        await bureau.about_a_person(**as_company)
    assert read_details(caught.value)[0].reason == "BAD_ID"
    assert bureau.counts() == (0, 0)


@shows("R65", "16 by a Flight ticket of before")
async def test_a_ticket_pins_no_place_under_a_threshold(site):
    """Who reads by Flight is counted when it reads; what a ticket was given on holds no more."""
    bureau = open_bureau(site)
    stub = flight_pb2_grpc.FlightServiceStub(site.channel(bureau.member))
    descriptor = flight_pb2.FlightDescriptor(
        type=flight_pb2.FlightDescriptor.CMD,
        cmd=bureau.about(bureau.person).SerializeToString(),
    )
    info = await stub.GetFlightInfo(descriptor)
    assert bureau.counts() == (0, 0)
    for _ in range(2):
        messages = await drain(stub.DoGet(info.endpoint[0].ticket))
        assert any(message.data_body for message in messages)
        assert bureau.counts() == (0, 1)
    bureau.declare(SENSITIVE, 9_999)
    for call in (drain(stub.DoGet(info.endpoint[0].ticket)), stub.GetFlightInfo(descriptor)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert "XB_MECHANISM" in str(caught.value.details())
    assert bureau.counts() == (0, 10_000)


@shows("R62", "13 outside the negative list, once its switch is set on a written answer")
async def test_the_switch_of_the_negative_list_exempts_and_counts_nobody(stage, tmp_path):
    copied = copy_stage(stage, tmp_path / "home")
    settings = copied.deployment.settings.model_copy(update={"switches": {"art6_exempt": True}})
    copied = replace(copied, deployment=replace(copied.deployment, settings=settings))
    async with serve_site(copied) as site:
        bureau = open_bureau(site, **NO_MECHANISM)
        bureau.declare(SENSITIVE, 10_000)
        crossed(await bureau.about_a_person())
        assert bureau.counts() == (0, 10_000)


# --- R67: which road --------------------------------------------------------------------------


@shows("R67", "R67 a regional partner inside the country", "R67 home data used abroad")
async def test_inside_the_country_nobody_takes_this_path_and_from_it_nothing_leaves(site):
    words: dict[str, Any] = {
        "purposes": ("CREDIT_CHECK",),
        "scenarios": ("MUTUAL_RECOGNITION",),
        "subject_kinds": (SubjectKind.LEGAL_ENTITY,),
    }
    ask_for = {"purpose": "CREDIT_CHECK", "scenario": "MUTUAL_RECOGNITION"}
    fields = ("uscc", "name")
    agreement = LicenceKind.RECOGNITION_AGREEMENT
    inside = site.desk.enrol(Role.REGIONAL_PARTNER, agreement, **words)
    answer = Answer(await site.query(inside, COMPANY_PRODUCT, fields, **ask_for))
    assert "border_record" not in answer.decision.obligations
    for country in ("SG", "HK", "MO", "TW"):
        abroad = {"destinations": (country,), **words}
        for role, kind in (
            (Role.REGIONAL_PARTNER, agreement),
            (Role.AGENCY, LicenceKind.ENTERPRISE_CREDIT_FILING),
        ):
            member = site.desk.enrol(role, kind, **abroad)
            call = site.query(member, COMPANY_PRODUCT, fields, destination=country, **ask_for)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            entry = check_denial(site, read_details(caught.value)[1])
            assert ["R52", "XB_PURPOSE"] in entry["reasons"]
            wrong = ["R67", "XB_WRONG_PATH"] in entry["reasons"]
            assert wrong is (role is Role.REGIONAL_PARTNER)


@shows("R67", "R67 a partner abroad is not registered as domestic")
async def test_a_cross_border_partner_with_a_domestic_code_is_not_registered(site):
    with pytest.raises(InvalidRequestError, match="R67"):
        site.desk.register(Role.CROSS_BORDER_PARTNER)
