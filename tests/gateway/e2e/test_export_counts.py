"""Persons across the border are counted on the road itself, on real registers and books."""

from typing import Any

import grpc
import numpy as np
import pytest

from audit import entries
from audit.entries import Use
from gateway.border import counters_report as reports
from gateway.border.counters_declared import DECLARATION_TYPE, DeclarationClaims, declare
from gateway.border.counters_items import Reservation, persons_of
from gateway.border.counters_law import Ceilings, CountClass, CountLaw, export_year
from gateway.border.counters_ledger import ExportLedger
from gateway.border.counters_tags import Tagger
from gateway.domain.border import Register
from gateway.domain.errors import ExhaustedError
from gateway.domain.vocabulary import Role
from gateway.registry import consents
from gateway.registry.documents import sign
from tests.gateway.e2e.bureau import PERSON_PRODUCT, Bureau, open_bureau
from tests.gateway.e2e.serving import Site
from tests.gateway.e2e.wire import refused
from xinguan.client import Answer

pytestmark = pytest.mark.asyncio(loop_scope="session")
LAW = CountLaw.load()
SENSITIVE = CountClass.SENSITIVE
DENIED = "PERMISSION_DENIED"


def persons_in(site: Site) -> list[str]:
    """Return the tokens of persons who stand in the product."""
    snapshot = site.world.library.current(PERSON_PRODUCT)
    assert snapshot is not None
    rows = snapshot.take(np.arange(snapshot.manifest.rows), ["subject_code", "subject_type"])
    found = [row["subject_code"] for row in rows.to_pylist() if row["subject_type"] == PERSON]
    return list(dict.fromkeys(found))


PERSON = "NATURAL_PERSON"


def consent_of(bureau: Bureau, persons: list[str]) -> str:
    """Register a separate consent of several persons."""
    site, desk = bureau.site, bureau.site.desk
    abroad = consents.CrossBorderClaims(
        recipient_name="Example bureau",
        contact="desk 1",
        purpose="trade",
        method="query",
        kinds=("court records",),
        rights_channel="the exporter's desk",
    )
    document = desk.consent(
        desk.register(Role.CONSENT_ISSUER),
        bureau.member.party_id,
        persons,
        mode="SEPARATE",
        purpose_codes=("TRADE",),
        data_kinds=(PERSON_PRODUCT,),
        cross_border=abroad,
    )
    keys = site.deployment.secrets().consents
    return desk.state.run(lambda tx: consents.register(tx, document, desk.act, keys)).consent_id


def start_at(bureau: Bureau, persons: int) -> None:
    """Let the exporter stand at a count."""
    bureau.site.desk.state.run(
        lambda tx: tx.execute(
            "INSERT INTO export_counts (exporter, year, class, own, declared, log_index)"
            " VALUES (?, ?, 'sensitive', ?, 0, 0)",
            (bureau.exporter, export_year(bureau.now), persons),
        )
    )


def counts_of(bureau: Bureau) -> dict[str, tuple[int, int]]:
    """Return class to persons and to those that are held."""
    year = export_year(bureau.now)
    found = bureau.site.desk.state.run(
        lambda tx: reports.counts(tx, LAW, year, bureau.now, bureau.exporter)
    )
    return {count.kind.value: (count.total, count.held) for count in found}


async def test_one_passes_under_the_threshold_and_the_next_is_refused(site):
    bureau = open_bureau(site)
    first, second, *_ = persons_in(site)
    bureau.consent_id = consent_of(bureau, [first, second])
    start_at(bureau, 9_998)
    answer = Answer(await bureau.about_a_person(subjects=[first]))
    assert {"count_export", "count_sensitive"} <= set(answer.decision.obligations)
    assert counts_of(bureau) == {"sensitive": (9_999, 0)}
    await bureau.about_a_person(subjects=[first])  # who is counted already passes again
    assert counts_of(bureau) == {"sensitive": (9_999, 0)}
    asked = bureau.about_a_person(subjects=[second])
    refusal = await refused(site, asked, "XB_MECHANISM", DENIED, rule="R65")
    assert site.entry(refusal.denial_index)["kind"] == "denial"
    assert counts_of(bureau) == {"sensitive": (9_999, 0)}
    alarms = [e for e in site.entries() if e["kind"] == "alarm" and e["rule"] == "R64"]
    assert bureau.exporter not in {alarm["actor"] for alarm in alarms}  # it began past them all


async def test_what_is_declared_from_outside_counts(site):
    bureau = open_bureau(site)
    year, now = export_year(bureau.now), bureau.now
    await bureau.about_a_person()
    claims = DeclarationClaims(
        exporter=bureau.exporter, year=year, kind="sensitive", version=1, persons=9_999, as_of=now
    )
    document = sign(claims, bureau.exporter_key, DECLARATION_TYPE)
    desk = site.desk
    desk.state.run(lambda tx: declare(tx, document, desk.act, LAW))
    await refused(site, bureau.about_a_person(), "XB_MECHANISM", DENIED, rule="R65")
    assert counts_of(bureau) == {"sensitive": (10_000, 0)}


async def test_an_exempt_transfer_is_kept_and_not_counted(site):
    bureau = open_bureau(site)
    bureau.state(Register.EXEMPTION, bureau.exporter_key)
    answer = Answer(await bureau.about_a_person())
    assert "count_export" not in answer.decision.obligations
    assert counts_of(bureau) == {}
    (line,) = annex_of(bureau).lines
    assert (line.basis, line.sensitive, line.requests) == ("ART5_CONTRACT", 0, 1)


async def test_a_delivery_that_fails_before_anything_left_counts_nobody(site):
    bureau = open_bureau(site)
    before = site.world.quotas

    class Exhausted:
        def __getattr__(self, name: str) -> Any:
            return getattr(before, name)

        def take_rows(self, *_: object) -> None:
            raise ExhaustedError("ROW_QUOTA", "the licence's rows for this day are used up")

    site.world.quotas = Exhausted()
    try:
        with pytest.raises(grpc.aio.AioRpcError):
            await bureau.about_a_person()
    finally:
        site.world.quotas = before
    assert counts_of(bureau) == {"sensitive": (0, 0)}
    annex = annex_of(bureau)
    assert (annex.deliveries, annex.nothing_left, annex.lines) == (1, 1, ())


async def test_the_annex_tells_persons_and_companies(site):
    bureau = open_bureau(site)
    for _ in range(2):
        await bureau.about_a_person()
    await bureau.about_a_company()
    annex = annex_of(bureau)
    assert annex.recipients == {bureau.member.party_id: {"sensitive": 1}}
    lines = {line.product: line for line in annex.lines}
    person = lines[PERSON_PRODUCT]
    assert (person.requests, person.sensitive, person.mechanism) == (2, 2, bureau.mechanism)
    assert (person.mechanism_kind, person.country, person.whitelist) == ("SCC", "SG", 1)
    assert {"court", "name"} <= set(person.fields)
    company = lines["legal_entity_base"]
    assert (company.requests, company.sensitive, company.mechanism) == (1, 0, "")
    assert company.records == 1


async def test_a_node_settles_its_earlier_life_when_it_starts(open_site):
    exporter, year = "uscc:91460099MA00000016", 0
    intents: list[int] = []

    def crash(stage) -> None:
        """Leave two intents behind, one of them with evidence of a batch."""
        nonlocal year
        deployment = stage.deployment
        state = deployment.open_state()
        tagger = Tagger(deployment.secrets().export_key)
        ledger = ExportLedger(LAW, tagger)
        node = deployment.settings.node

        def job(tx) -> None:
            nonlocal year
            now = 1_795_500_000
            year = export_year(now)
            for number in range(2):
                use = Use(request=f"{number:026d}", subject_count=1)
                entry = entries.intent(
                    time=now, node=node, use=use, snapshot="0" * 64, fields={"court": "allow"}
                )
                index = tx.append(entry).index
                intents.append(index)
                persons = persons_of(
                    exporter, year, [SENSITIVE], [tagger.tag(exporter, year, f"p{number}")]
                )
                wanted = Reservation(exporter, year, persons, Ceilings(), now, node, "reg:SG:A")
                assert ledger.check(tx, [wanted]) == [None]
                ledger.post(tx, [(wanted, index)])
                tx.execute(
                    "INSERT INTO requests (request_id, party_id, intent) VALUES (?, ?, ?)",
                    (f"{number:026d}", "reg:SG:A", index),
                )
                tx.execute(
                    "INSERT INTO exports (intent, begun_at, exporter, year, party, country,"
                    " product, purpose, fields, mechanism, mechanism_kind, basis, whitelist,"
                    " ordinary, sensitive) VALUES (?, ?, ?, ?, 'reg:SG:A', 'SG', 'p', 'TRADE',"
                    " '[]', 'M', 'SCC', '', 1, 0, 1)",
                    (index, now, exporter, year),
                )
            batch = entries.batch(
                time=now, node=node, intent=intents[1], number=0, rows=3, content=bytes(32),
                delivered=bytes(32),
            )  # fmt: skip
            tx.execute(
                "INSERT INTO intent_entries (intent, entry, kind) VALUES (?, ?, 'batch')",
                (intents[1], tx.append(batch).index),
            )

        state.run(job)
        state.close()

    served = await open_site(crash)
    (settled,) = [each for each in served.entries() if each["kind"] == "export_settled"]
    assert (settled["released"], settled["sent"]) == ([intents[0]], [intents[1]])
    found = served.desk.state.run(lambda tx: reports.counts(tx, LAW, year, 1_795_500_000))
    assert [(count.own, count.held) for count in found] == [(1, 0)]


def annex_of(bureau: Bureau) -> reports.Annex:
    year = export_year(bureau.now)
    (annex,) = bureau.site.desk.state.run(
        lambda tx: reports.annexes(tx, LAW, year, bureau.now, bureau.exporter)
    )
    return annex
