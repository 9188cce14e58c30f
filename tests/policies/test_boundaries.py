"""The boundary vectors of domain-rules 5.3, every one, and the turns of the clock."""

import pytest

from gateway.decision.bundle import load
from gateway.decision.input import build_input
from gateway.decision.tables import read_table
from gateway.decision.wasm import WasmEngine
from tests.policies import facts_world as w
from tests.policies.engines import LAW, ROOT, decider_of
from tests.policies.facts_world import END, NOW, ordinary_abroad, person_abroad, vary
from tests.policies.generated import NEW_YEAR
from tests.policies.golden_cases import bank

ASSESSMENT = (w.mechanism("ASSESSMENT", mechanism_id="SCC-1"),)
CERT = (w.mechanism("CERT", mechanism_id="SCC-1"),)
SCC = (w.mechanism("SCC"),)


@pytest.fixture(scope="module")
def decider():
    bundle = load()
    return decider_of(WasmEngine(bundle, deadline_ms=60_000), bundle)


async def needed(decider, persons, sensitive, make=ordinary_abroad):
    """Which mechanisms would do, from weakest to strongest; empty when none is needed."""
    verdicts = {}
    for name, mechanisms in (
        ("none", ()),
        ("SCC", SCC),
        ("CERT", CERT),
        ("ASSESSMENT", ASSESSMENT),
    ):
        facts = make(persons=persons, sensitive=sensitive, mechanisms=mechanisms)
        verdicts[name] = (await decider.decide(facts)).allow
    return {name for name, allowed in verdicts.items() if allowed}


EVERYTHING = {"none", "SCC", "CERT", "ASSESSMENT"}
CONTRACT = {"SCC", "CERT", "ASSESSMENT"}


@pytest.mark.parametrize(
    ("persons", "sensitive", "enough"),
    [
        (50_000, 0, EVERYTHING),
        (99_999, 0, EVERYTHING),  # 不满10万人
        (100_000, 0, CONTRACT),  # 10万人以上 includes the number
        (999_999, 0, CONTRACT),  # 不满100万
        (1_000_000, 0, {"ASSESSMENT"}),  # 100万人以上
        (0, 1, CONTRACT),  # no lower floor
        (0, 9_999, CONTRACT),  # 不满1万
        (0, 10_000, {"ASSESSMENT"}),  # 1万人以上
        (99_999, 9_999, CONTRACT),
        (999_999, 10_000, {"ASSESSMENT"}),
        (1_000_000, 1, {"ASSESSMENT"}),
    ],
)
async def test_mechanism_by_count(decider, persons, sensitive, enough):
    assert await needed(decider, persons, sensitive) == enough


def about_a_person(persons, sensitive, mechanisms):
    facts = person_abroad("uscc", "reg_status", border__mechanisms=mechanisms)
    if not mechanisms:
        facts = vary(facts, border__whitelist=w.whitelist(mechanism=""))
    return vary(facts, border__exporter=w.exporter(persons, sensitive))


async def test_a_request_about_a_person_is_itself_one_sensitive_person(decider):
    # A counter that says 0 although this request is of a person would be a free pass.
    assert await needed(decider, 0, 0, about_a_person) == CONTRACT
    assert await needed(decider, 0, 9_999, about_a_person) == CONTRACT
    assert await needed(decider, 0, 10_000, about_a_person) == {"ASSESSMENT"}


async def test_an_organisation_needs_no_mechanism_at_any_count(decider):
    facts = w.crossing("uscc", "reg_status")
    facts = vary(facts, border__mechanisms=(), border__exporter=w.exporter(5_000_000, 5_000_000))
    facts = vary(facts, border__whitelist=w.whitelist(mechanism=""))
    assert (await decider.decide(facts)).allow


def calendar(now):
    return build_input(w.facts(now=now), LAW.limits)["calendar"]


def test_the_year_turns_at_midnight_in_hainan():
    before, after = calendar(NEW_YEAR - 1), calendar(NEW_YEAR)
    assert (before["year"], after["year"]) == (2026, 2027)
    assert before["turns"][-1] == before["turns"][2] == NEW_YEAR
    assert after["turns"][0] == after["turns"][1] == NEW_YEAR


async def test_a_decision_never_outlives_the_day(decider):
    decision = await decider.decide(w.facts(now=NOW))
    assert decision.valid_until <= calendar(NOW)["turns"][2]
    assert (decision.valid_until + 8 * 3600) % 86_400 == 0


@pytest.mark.parametrize(
    ("now", "since"),
    [
        (NEW_YEAR - 1, "2021-12-31"),
        (NEW_YEAR, "2022-01-01"),
        (1_835_366_400, "2023-02-28"),  # 2028-02-29 in Hainan: five years before has no 29th
    ],
)
def test_five_years_back_are_counted_by_the_calendar(now, since):
    assert calendar(now)["adverse_since"] == since


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ({"licence__not_before": NOW}, True),
        ({"licence__not_before": NOW + 1}, False),
        ({"licence__not_after": NOW + 1}, True),
        ({"licence__not_after": NOW}, False),  # exclusive
        ({"caller__certificate__not_after": NOW}, True),  # inclusive
        ({"caller__certificate__not_after": NOW - 1}, False),
        ({"licence__agreement__not_after": NOW}, False),
        ({"licence__agreement__not_before": NOW}, True),
        ({"licence__not_after": END}, True),
    ],
)
async def test_ends_of_documents(decider, change, allowed):
    decision = await decider.decide(vary(w.facts(), **change))
    assert decision.allow is allowed


def test_each_number_says_whether_its_words_include_it():
    for name, entry in read_table(ROOT / "policies" / "data", "thresholds").items():
        assert isinstance(entry["inclusive"], bool), name
        assert entry["words"], name


@pytest.mark.parametrize(
    ("amount_fen", "allowed"),
    [
        (1, True),
        (999_999_999, True),
        (1_000_000_000, True),  # 1000万元（含）以内
        (1_000_000_001, False),  # one fen more
        (10**15, False),
    ],
)
async def test_subsidy_by_amount(decider, amount_fen, allowed):
    facts = vary(bank("INTEREST_SUBSIDY"), request__loan=w.loan(amount_fen=amount_fen))
    decision = await decider.decide(facts)
    assert decision.allow is allowed
    assert ("interest_subsidy" in decision.obligations) is allowed


def test_a_loans_amount_is_not_behind_the_inputs_digest():
    facts = vary(bank("INTEREST_SUBSIDY"), request__loan=w.loan(amount_fen=12_345))
    other = vary(facts, request__loan__amount_fen=999_999_999)
    assert build_input(facts, LAW.limits) == build_input(other, LAW.limits)
    above = vary(facts, request__loan__amount_fen=1_000_000_001)
    assert build_input(above, LAW.limits) != build_input(facts, LAW.limits)
