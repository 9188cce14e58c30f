import re

import pytest

from gateway.decision.bundle import DEFAULT_POLICIES
from gateway.decision.coverage import rule_rows
from gateway.decision.law import LawTable
from gateway.decision.tables import flatten, read_table
from gateway.domain.errors import InvalidRequestError, Reason
from tests.policies.engines import LAW, ROOT
from tests.policies.golden_cases import cases

GATE_CODES = frozenset(
    {
        "UNKNOWN_PRODUCT", "UNKNOWN_FIELD", "BAD_ID", "BATCH_TOO_LARGE", "BAD_REQUEST",
        "STALE_REQUEST_TIME", "REPLAYED", "UNKNOWN_CERTIFICATE", "CERTIFICATE_REVOKED",
        "CERTIFICATE_EXPIRED", "PARTY_SUSPENDED", "BAD_SIGNATURE", "SIGNATURE_REQUIRED",
        "ENCRYPTION_KEY_MISSING", "SEALED_BY_QUERY_ONLY", "BORDER_COPY_BUSY",
        "BORDER_STORE_DESTROYED",
        "BAD_DOCUMENT", "RATE_LIMIT", "ROW_QUOTA", "POLICY_UNAVAILABLE", "POLICY_TIMEOUT",
        "POLICY_UNDEFINED", "POLICY_MISMATCH", "POLICY_UNKNOWN_ANSWER", "AUDIT_UNAVAILABLE",
        "PRODUCT_UNAVAILABLE", "SOURCE_FAILED", "EDGE_CHECK", "BAD_TICKET", "TICKET_EXPIRED",
        "FILTER_ON_HIDDEN_FIELD", "NOT_FOUND", "NOT_AUTHORITY", "ROLE_FORBIDDEN",
        "STOPPED_STREAM", "INTERNAL", "CONFLICT", "CONSENT_UNKNOWN", "LICENCE_CHANGED",
        "SUBJECT_KIND_MISMATCH", "PORTFOLIO_TOO_SMALL", "PORTFOLIO_OVERLAP", "IDENTIFYING_FIELD",
        "WITNESS_MISSING", "LOG_DISPUTED", "BAD_POLICY", "BAD_PORTFOLIO", "PORTFOLIO_UNKNOWN",
        "PORTFOLIO_QUOTA", "NOT_SUPPORTED", "ORDER_ON_HIDDEN_FIELD",
    }
)  # fmt: skip
# Commands of the operator's own machine: their errors never reach a caller.
LOCAL_ROOMS = ("cli", "ingest")
# Of `gateway.decision`, for commands alone, and what a start refuses.
LOCAL_MODULES = ("history.py", "redecide.py", "keeping.py", "replaying.py", "opa_process.py")


def test_every_code_of_the_gateway_has_a_text():
    assert [code for code in GATE_CODES if f"GATE/{code}" not in LAW.texts] == []


def test_every_code_of_the_rego_has_a_text_under_its_own_rule():
    spoken = set()
    for path in DEFAULT_POLICIES.glob("xinguan/**/*.rego"):
        if "_test" not in path.name:
            found = re.findall(r'"rule": "(\w+)", "code": "(\w+)"', path.read_text("utf-8"))
            spoken |= {f"{rule}/{code}" for rule, code in found}
    assert len(spoken) > 45
    assert spoken - LAW.texts.keys() == set()


def test_every_code_raised_in_the_gateway_has_a_text():
    raised = set()
    rooms = [p for p in (ROOT / "gateway").iterdir() if p.name not in LOCAL_ROOMS]
    for path in (module for room in rooms for module in (room, *room.rglob("*.py"))):
        if path.suffix != ".py" or path.name in LOCAL_MODULES:
            continue
        raised |= set(re.findall(r'Error\(\s*"([A-Z][A-Z0-9_]{3,})"', path.read_text("utf-8")))
    assert {"POLICY_MISMATCH", "UNKNOWN_FIELD"} <= raised
    known = {key.partition("/")[2] for key in LAW.texts}
    assert raised - known == set()


def test_texts_are_in_both_languages():
    for key, text in LAW.texts.items():
        assert re.search(r"[一-鿿]", text.clause_zh + text.remedy_zh), key
        assert not re.search(r"[\u4e00-\u9fff]", text.clause_en + text.remedy_en), key


def test_a_text_belongs_to_its_rule():
    assert LAW.text(Reason("R13", "PRODUCT_UNAVAILABLE")).rule == "R13"
    assert LAW.text(Reason("GATE", "PRODUCT_UNAVAILABLE")).rule == "GATE"
    assert LAW.text(Reason("R99", "POLICY_UNAVAILABLE")).code == "POLICY_UNAVAILABLE"


def test_a_code_without_a_text_is_told_as_a_defect():
    assert LAW.text(Reason("R99", "NEVER_HEARD_OF")).code == "INTERNAL"


def test_an_unconfirmed_source_is_confessed():
    # R40 rests on 国办发〔2021〕52号, which nobody here has read (tag [M]).
    assert LAW.text(Reason("R40", "PURPOSE")).unconfirmed
    assert not LAW.text(Reason("R32", "OUT_OF_SCOPE")).unconfirmed
    tags = {row.rule: row.unconfirmed for row in rule_rows(DEFAULT_POLICIES)}
    assert tags["R40"]


@pytest.mark.parametrize("chosen", [{"no_such": True}, {"art6_exempt": 1}, {"art6_exempt": "true"}])
def test_unknown_switches_and_types_are_refused(chosen):
    with pytest.raises(InvalidRequestError):
        LAW.settle(chosen)


def test_switches_have_safe_defaults_and_can_be_chosen():
    settled = LAW.settle({"border_bulk": True})
    assert settled["border_bulk"] is True
    assert settled["art6_exempt"] is False
    assert settled["require_registration"] is True
    assert settled.keys() == LAW.switches.keys()


def test_limits_come_from_the_tables():
    assert LAW.limits.count_ceiling == 21
    assert LAW.limits.adverse_years == 5
    assert "list_type" in LAW.limits.minimal_fields


@pytest.mark.parametrize(
    "name", ["thresholds", "lists", "purposes", "measures", "list_types", "switches", "rules"]
)
def test_every_entry_names_its_source_and_tag(name):
    for key, entry in read_table(DEFAULT_POLICIES / "data", name).items():
        assert entry["tag"] in {"S", "V", "V2", "M", "D", "H"}, key


def test_the_policy_sees_numbers_and_sets_only():
    law = flatten(DEFAULT_POLICIES / "data")
    assert law["numbers"]["export_sensitive_assessment"] == 10_000
    assert law["lists"]["person_kinds"] == {"NATURAL_PERSON": True, "SOLE_PROP": True}
    assert law["role_licences"]["BANK"] == {"BANKING": True}
    assert "TRADE" in law["purposes"]["border"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("reasons", '{"R30": {"source": "s", "tag": "V"}}'),
        ("reasons", '{"R30/X": {"source": "s", "tag": "V", "clause_zh": "x"}}'),
        ("switches", '{"a": {"source": "s", "tag": "V", "default": "yes"}}'),
        ("switches", '{"a": {"default": true}}'),
    ],
)
def test_a_malformed_table_is_refused(tmp_path, name, text):
    data = tmp_path / "data"
    data.mkdir()
    for source in (DEFAULT_POLICIES / "data").glob("*.json"):
        (data / source.name).write_bytes(source.read_bytes())
    (data / f"{name}.json").write_text(text, encoding="utf-8")
    with pytest.raises((ValueError, TypeError)):
        LawTable.load(tmp_path)


def test_golden_cases_speak_codes_with_texts():
    for case in cases():
        assert f"{case.rule}/{case.code}" in LAW.texts or case.code == "XB_MECHANISM"
