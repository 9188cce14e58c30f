"""What changes while an answer is made, and what the destination's law takes out of it."""

import datetime as dt
import json
import time

import pytest

from gateway.domain.recognition import Register
from gateway.doors.recognition_report import ReportDesk
from gateway.recognition import register
from tests.gateway.e2e import recognising as r
from tests.gateway.e2e.wire import refused

pytestmark = pytest.mark.asyncio(loop_scope="session")
DENIED, INVALID = "PERMISSION_DENIED", "INVALID_ARGUMENT"


# --- What changes while an answer is made ---------------------------------------------------


def meanwhile(monkeypatch, event):
    """Let something happen after a report was registered, before it is handed over."""
    real = ReportDesk.issue

    async def issue(desk, *words):
        done = await real(desk, *words)
        monkeypatch.undo()
        await event()
        return done

    monkeypatch.setattr(ReportDesk, "issue", issue)


async def test_a_record_repaired_before_the_hand_over_is_in_no_report(abroad, monkeypatch):
    partner, firm = r.enrol(abroad), abroad.population.penalised
    wanted = {"admin_penalty": r.PENALTY, "legal_entity_base": r.FIRM}
    key = r.penalty_of(abroad, firm)
    before = json.loads((await partner.report(firm, sections=wanted)).document)["sections"][0]

    async def repair():
        async with abroad.client(abroad.authority) as authority:
            await authority.publish_repair(abroad.desk.repair("admin_penalty", key))

    meanwhile(monkeypatch, repair)
    await refused(abroad, partner.report(firm, sections=wanted), "STOPPED_STREAM", DENIED)
    after = json.loads((await partner.report(firm, sections=wanted)).document)["sections"][0]
    assert len(after["records"]) == len(before["records"]) - 1


async def test_terms_withdrawn_before_the_hand_over_stop_the_answer(abroad, monkeypatch):
    partner, firm = r.enrol(abroad), abroad.population.sample[3]
    found = abroad.world.registry.view().recognitions.terms(partner.party_id, abroad.desk.act.now)

    async def withdraw():
        abroad.desk.run(register.withdraw, Register.TERMS, partner.party_id, found.effect.version)

    meanwhile(monkeypatch, withdraw)
    await refused(abroad, partner.report(firm), "XB_TERMS", DENIED, rule="R52")


async def test_a_field_taken_from_the_whitelist_before_the_hand_over_is_in_no_report(
    abroad, monkeypatch
):
    partner, firm = r.enrol(abroad), abroad.population.sample[3]
    wanted = {"legal_entity_base": r.FIRM}
    narrower = tuple(name for name in r.FIRM if name != "reg_status")

    async def narrow():
        r.whitelist(abroad.desk, partner.party_id, "legal_entity_base", narrower)

    meanwhile(monkeypatch, narrow)
    await refused(abroad, partner.report(firm, sections=wanted), "LICENCE_CHANGED", DENIED)
    abroad.copy_abroad()
    (section,) = json.loads((await partner.report(firm, sections=wanted)).document)["sections"]
    assert "reg_status" not in section["records"][0]


# --- Destination law ------------------------------------------------------------------------


def firm_with_an_old_penalty(site) -> tuple[str, str]:
    """Return a firm with a penalty of more than a year ago that is shown now, and its date."""
    snapshot, now = site.world.library.current("admin_penalty"), int(time.time())
    for number in range(snapshot.batch_count):
        rows = snapshot.batch_rows(number)
        rows = rows[snapshot.shareable(rows, now)]
        columns = ["uscc", "decided_on", "subject_type", "publicity_state"]
        for row in snapshot.take(rows, columns).to_pylist():
            shown = (row["subject_type"], row["publicity_state"]) == ("LEGAL_ENTITY", "PUBLIC")
            if shown and row["decided_on"] < dt.date.fromtimestamp(now) - dt.timedelta(400):
                return row["uscc"], row["decided_on"].isoformat()
    raise AssertionError("the synthetic records have no old penalty")


async def test_the_destination_drops_a_field_and_an_old_record(abroad):
    partner = r.enrol(abroad)
    firm, old = firm_with_an_old_penalty(abroad)
    sections = {"admin_penalty": r.PENALTY}
    before = json.loads((await partner.report(firm, sections=sections)).document)["sections"][0]
    assert before["records"]
    assert "authority" in before["records"][0]
    r.enact(
        abroad.desk,
        r.fields(abroad.desk, r.row("admin_penalty", "authority", forbidden=True)),
    )
    after = json.loads((await partner.report(firm, sections=sections)).document)["sections"][0]
    assert len(after["records"]) == len(before["records"])
    assert "authority" not in after["records"][0]
    assert after["dropped"] == {"authority": "XB_DESTINATION"}
    assert old in [each["decided_on"]["value"] for each in before["records"]]
    r.enact(
        abroad.desk,
        r.fields(abroad.desk, r.row("admin_penalty", "decided_on", oldest_years=1)),
    )
    found = json.loads((await partner.report(firm, sections=sections)).document)["sections"][0]
    kept = [each["decided_on"]["value"] for each in found["records"]]
    limit = (dt.date.today() - dt.timedelta(366)).isoformat()
    assert len(kept) < len(before["records"])
    assert all(day >= limit for day in kept)


async def test_a_withdrawn_field_table_lets_nothing_out(abroad):
    partner = r.enrol(abroad)
    firm = abroad.population.sample[3]
    claims = r.fields(abroad.desk)
    r.enact(abroad.desk, claims)
    assert await partner.status(firm, "REGISTERED")
    r.withdraw(abroad.desk, claims)
    call = partner.status(firm, "REGISTERED")
    await refused(abroad, call, "XB_FIELD_TABLE", DENIED, rule="R54")
