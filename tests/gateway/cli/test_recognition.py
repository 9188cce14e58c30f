import hashlib

import pytest

from tests.simulator import uscc

PARTNER = "reg:SG:201912345K"
TERMS = f"""
partner: {PARTNER}
agreement_id: AGREEMENT-SG-1
modes: [HASH_CHECK, GRADE_MAP]
purposes: [TRADE]
jurisdictions: [SG]
end_uses: [MUTUAL_RECOGNITION]
onward_zh: 不得向第三方转供。
onward_en: No onward supply to third parties.
dispute_contact: disputes@xinguan.example
not_before: 2026-01-01
not_after: 2030-01-01
"""
MAPPING = f"""
mapping_id: HN-SG-1
partner: {PARTNER}
product: public_credit_grade
field: grade
source: {{name: Hainan grade, grades: [A, B, C, D]}}
target: {{name: Bureau scale, grades: [AA, BB]}}
rows:
  - {{grade: A, equals: AA}}
  - {{grade: B, equals: BB}}
  - {{grade: C, equals: BB}}
  - {{grade: D, equals: ""}}
"""
FIELDS = """
jurisdiction: SG
rows:
  - {product: legal_entity_base, field: reg_status, name: entity_status, label: Entity status,
     source: "Guide of the bureau, to be checked", tag: M}
"""
IDENTIFIERS = """
register_id: HN-LEI
entries:
  - {uscc: "%s", lei: 5493001KJTIIGC8Y1R12, numbers: ["MY:201901000005"]}
"""


@pytest.fixture
def keys(xinguan, tmp_path):
    found = {}
    xinguan.do("party", "add", PARTNER, "--name", "Partner", "--role", "CROSS_BORDER_PARTNER")
    for number, role in ((1, "SECURITY_ADMIN"), (2, "AUTHORITY"), (3, "BANK")):
        xinguan.do("party", "add", uscc(number), "--name", role, "--role", role, "--no-certificate")
        xinguan.do("party", "key", "issue", uscc(number), "--out", tmp_path / role)
        found[role] = tmp_path / role / "document.key"
    return found


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "description.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_authority_signs_terms_and_their_next_version(xinguan, keys, write, tmp_path) -> None:
    signed = tmp_path / "terms.jwt"
    done = xinguan.do("recognition", "terms", "enact", write(TERMS), "--out", signed)
    assert (done["state"], done["version"], done["name"]) == ("signed", 1, PARTNER)
    entry = xinguan.entry(done["entry"])
    assert (entry["kind"], entry["register"]) == ("recognition_registered", "terms")
    again = ("recognition", "terms", "enact", "--document", signed)
    assert xinguan.refuse(*again) == "CONFLICT"
    assert xinguan.do("recognition", "terms", "enact", write(TERMS))["version"] == 2
    shown = xinguan.do("recognition", "terms", "show", "--name", PARTNER, "--version", 2)
    assert shown["content"]["modes"] == ["HASH_CHECK", "GRADE_MAP"]
    ended = xinguan.do("recognition", "terms", "withdraw", "--name", PARTNER, "--version", 2)
    assert ended["state"] == "withdrawn"
    states = [row["state"] for row in xinguan.do("recognition", "terms", "list")]
    assert states == ["signed", "withdrawn"]


def test_two_roles_approve_a_mapping_and_nobody_else(xinguan, keys, write) -> None:
    proposed = xinguan.do("recognition", "mapping", "propose", write(MAPPING))
    assert proposed["state"] == "awaits approval"
    which = ("recognition", "mapping", "approve", "--name", proposed["name"], "--key")
    assert xinguan.refuse(*which, keys["BANK"]) == "ROLE_FORBIDDEN"
    assert xinguan.do(*which, keys["SECURITY_ADMIN"])["state"] == "awaits approval"
    assert xinguan.refuse(*which, keys["SECURITY_ADMIN"]) == "CONFLICT"
    assert xinguan.do(*which, keys["AUTHORITY"])["state"] == "approved"
    assert xinguan("recognition", "mapping", "approve").code == 2


def test_field_tables_and_identifiers(xinguan, keys, write) -> None:
    done = xinguan.do("recognition", "fields", "enact", write(FIELDS))
    assert (done["name"], done["state"]) == ("SG", "signed")
    done = xinguan.do("recognition", "identifiers", "enact", write(IDENTIFIERS % uscc(900)))
    assert done["name"] == "HN-LEI"
    assert uscc(900) not in str(xinguan.entry(done["entry"]))


@pytest.mark.parametrize(
    ("register", "text", "code"),
    [
        ("mapping", MAPPING.replace("equals: AA", "equals: ZZ"), "BAD_MAPPING"),
        ("mapping", MAPPING.replace('- {grade: D, equals: ""}', ""), "BAD_MAPPING"),
        ("mapping", MAPPING.replace("grade: A, equals: AA", "grade: A, equals: BB").replace(
            "grade: C, equals: BB", "grade: C, equals: AA"), "BAD_MAPPING"),
        ("terms", TERMS.replace("TRADE", "CREDIT_REPORT"), "BAD_DOCUMENT"),
        ("terms", TERMS.replace("jurisdictions: [SG]", "jurisdictions: [CN]"), "BAD_DOCUMENT"),
        ("terms", TERMS.replace("HASH_CHECK", "EVERYTHING"), "BAD_DOCUMENT"),
        ("terms", TERMS.replace(PARTNER, "reg:SG:NOBODY"), "BAD_REQUEST"),
        ("fields", FIELDS.replace("field: reg_status", "field: no_such"), "UNKNOWN_FIELD"),
        ("fields", FIELDS.replace("tag: M", "tag: M, oldest_years: 2"), "BAD_DOCUMENT"),
        ("identifiers", IDENTIFIERS.replace("1R12", "1R13") % uscc(900), "BAD_ID"),
        ("identifiers", IDENTIFIERS.replace("MY:2019", "SG:2019") % uscc(900), "BAD_ID"),
    ],
)  # fmt: skip
def test_what_is_impossible_or_unlawful_is_refused(xinguan, keys, write, register, text, code):
    assert xinguan.refuse("recognition", register, "enact", write(text)) == code
    assert xinguan.do("recognition", register, "list") == []


def test_the_digests_of_a_report(xinguan, write) -> None:
    path = write("a report")
    found = xinguan.do("recognition", "digest", path)
    assert found["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(found["sm3"]) == 64
