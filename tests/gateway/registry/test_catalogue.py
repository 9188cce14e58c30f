"""The catalogue: what ships is right, and every way to be unclear is refused by name."""

import json
import re
from pathlib import Path

import pytest
import yaml
from stdnum.cn import uscc
from typer.testing import CliRunner

from gateway.cli.catalogue import app
from gateway.cli.main import main
from gateway.domain.vocabulary import BorderDefault, FieldClass, SubjectKind
from gateway.registry.arrow_schema import arrow_schema
from gateway.registry.catalogue import (
    POLICY_CATALOGUE,
    Catalogue,
    CatalogueError,
    UnknownProductError,
)

PRODUCTS = {
    "legal_entity_base",
    "admin_licence",
    "admin_penalty",
    "serious_dishonesty_list",
    "judgement_debtor",
    "contract_performance",
    "credit_commitment",
    "public_credit_grade",
    "golden_coconut_score",
    "credit_repair_decision",
    "self_declared_info",
    "port_clearance_credit",
    "credit_loan_features",
    "foreign_credit_report",
    "credit_report_check",
}
REGISTERS = {"credit_report_check"}  # read from a register of the gateway, never admitted
ENVELOPE = {
    "record_id": "string",
    "subject_type": "string",
    "source_unit": "string",
    "source_unit_uscc": "string",
    "source_record_id": "string",
    "source_version": "int64",
    "source_updated_at": "timestamp[s, tz=Asia/Shanghai]",
    "ingested_at": "timestamp[s, tz=Asia/Shanghai]",
    "is_adverse": "bool",
    "severity": "string",
    "determination_date": "date32[day]",
    "publicity_start": "date32[day]",
    "publicity_min_end": "date32[day]",
    "publicity_end": "date32[day]",
    "publicity_state": "string",
    "share_state": "string",
    "dispute_flag": "bool",
    "content_hash": "string",
}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.load()


def test_every_schema_has_its_contract(catalogue):
    assert set(catalogue.names()) == PRODUCTS


def test_every_field_says_who_manages_it(catalogue):
    for name in catalogue.names():
        product = catalogue.product(name)
        assert catalogue.unit(product.manager_uscc).name_zh.startswith("示例")
        for field in product.fields.values():
            unit = catalogue.unit(field.unit_uscc)
            assert uscc.is_valid(unit.uscc)
            assert unit.uscc[2:8] == "460099"
            assert unit.name_zh.startswith("示例")
            assert re.search("[一-鿿]", field.title_zh), (name, field.name)
            assert field.classification is not FieldClass.X


def test_every_product_has_the_envelope_with_its_types(catalogue):
    for name in set(catalogue.names()) - REGISTERS:
        schema = arrow_schema(catalogue.product(name))
        assert {field: str(schema.field(field).type) for field in ENVELOPE} == ENVELOPE


def test_amounts_have_a_currency_or_unit(catalogue):
    base = catalogue.product("legal_entity_base").fields
    assert base["registered_capital"].type == "decimal(18,6)"
    assert "10k" in base["registered_capital"].measure
    assert base["registered_capital_currency"].type == "string"
    assert catalogue.product("admin_penalty").fields["fine_10k"].measure == "10k CNY"


def test_keys_are_of_the_subject_kinds(catalogue):
    score = catalogue.product("golden_coconut_score")
    assert score.subject_key == "person_token"
    assert score.subject_kinds == {SubjectKind.NATURAL_PERSON}
    assert catalogue.product("admin_penalty").subject_key == "uscc"
    for name in ("serious_dishonesty_list", "judgement_debtor", "port_clearance_credit"):
        product = catalogue.product(name)
        assert product.subject_key == "subject_code"
        assert SubjectKind.NATURAL_PERSON in product.subject_kinds
        # The key may be a person's token, so it never leaves by itself.
        assert product.fields["subject_code"].classification is FieldClass.SPI
        assert product.fields["subject_code"].border is BorderDefault.DENY


def test_adverse_products_need_a_fresh_feed(catalogue):
    adverse = {n for n in catalogue.names() if catalogue.product(n).adverse}
    assert adverse == {"admin_penalty", "serious_dishonesty_list", "judgement_debtor"}
    assert all(catalogue.product(n).feed_limit_s == 600 for n in adverse)


def test_persons_never_cross_the_border_by_default(catalogue):
    for name in catalogue.names():
        for field in catalogue.product(name).fields.values():
            if field.classification in (FieldClass.PI, FieldClass.SPI):
                assert field.border is BorderDefault.DENY, (name, field.name)


def test_names_and_addresses_identify(catalogue):
    fields = catalogue.product("legal_entity_base").fields
    for name in ("uscc", "name", "name_en", "address", "contact_phone", "lei"):
        assert fields[name].identifying


def test_an_unknown_product_has_its_own_error(catalogue):
    with pytest.raises(UnknownProductError):
        catalogue.product("religion")


def test_the_digest_follows_the_content_and_not_its_layout(tmp_path):
    text = (POLICY_CATALOGUE / "admin_penalty.yaml").read_text(encoding="utf-8")
    digests = []
    for version in (text, "# a comment\n" + text, text.replace('"1.0.0"', '"1.0.1"')):
        (tmp_path / "admin_penalty.yaml").write_text(version, encoding="utf-8")
        digests.append(Catalogue.load(tmp_path).product("admin_penalty").digest)
    assert digests[0] == digests[1] == Catalogue.load().product("admin_penalty").digest
    assert digests[2] != digests[0]


# --- contracts that are refused -------------------------------------------------------------


def contract() -> dict:
    """Return a small contract that is accepted."""
    unit = "11460099000000043A"

    def field(name: str, **more):
        base = {
            "name": name,
            "businessName": "示例",
            "description": "Example",
            "logicalType": "string",
            "physicalType": "string",
            "classification": "P0",
            "customProperties": [
                {"property": "unit", "value": unit},
                {"property": "border", "value": "A"},
            ],
        }
        return base | more

    return {
        "apiVersion": "v3.0.2",
        "kind": "DataContract",
        "id": "xinguan-sample",
        "name": "sample",
        "version": "1.0.0",
        "status": "active",
        "domain": "PUBLIC",
        "description": {"purpose": "A sample."},
        "customProperties": [
            {"property": key, "value": value}
            for key, value in {
                "titleZh": "示例",
                "titleEn": "Sample",
                "form": "RECORD",
                "registrationCode": "SYN-1",
                "subjectKinds": ["LEGAL_ENTITY"],
                "subjectKey": "uscc",
                "recordKey": "record_id",
                "adverse": False,
                "feedLimitSeconds": 0,
                "manager": unit,
                "units": [{"uscc": unit, "nameZh": "示例局", "nameEn": "Sample bureau"}],
            }.items()
        ],
        "schema": [
            {
                "name": "sample",
                "logicalType": "object",
                "physicalType": "table",
                "businessName": "示例",
                "description": "A sample.",
                "properties": [
                    field("uscc", required=True),
                    field("record_id", required=True),
                    field("note"),
                ],
            }
        ],
    }


def prop(document: dict, name: str) -> dict:
    return next(p for p in document["customProperties"] if p["property"] == name)


def note(document: dict) -> dict:
    return document["schema"][0]["properties"][2]


def custom(field: dict, name: str, value) -> None:
    field["customProperties"] = [p for p in field["customProperties"] if p["property"] != name] + (
        [] if value is None else [{"property": name, "value": value}]
    )


CASES = {
    "unknown class": (lambda d: note(d).update(classification="P9"), "note: unknown class"),
    "class X": (lambda d: note(d).update(classification="X"), "note: class X is prohibited"),
    "no unit": (lambda d: custom(note(d), "unit", None), "note: no responsible unit"),
    "foreign unit": (
        lambda d: custom(note(d), "unit", "12460099000000019N"),
        "note: its responsible unit is not among",
    ),
    "wrong check digit": (
        lambda d: prop(d, "units")["value"][0].update(uscc="114600990000000430"),
        "units: the unit's USCC has a wrong shape or check digit",
    ),
    "lower-case code": (
        lambda d: prop(d, "units")["value"][0].update(uscc="11460099000000043a"),
        "units: the unit's USCC is not in its canonical form",
    ),
    "no units": (lambda d: prop(d, "units").update(value=[]), "units: no responsible unit"),
    "missing manager": (lambda d: prop(d, "manager").update(value=""), "manager: no responsible"),
    "missing subject key": (
        lambda d: prop(d, "subjectKey").update(value=""),
        "subjectKey: it is missing",
    ),
    "subject key of no field": (
        lambda d: prop(d, "subjectKey").update(value="code"),
        "subjectKey: it names no field",
    ),
    "optional record key": (
        lambda d: d["schema"][0]["properties"][1].update(required=False),
        "recordKey: the field it names is not required",
    ),
    "missing record key": (
        lambda d: d.update(
            customProperties=[p for p in d["customProperties"] if p["property"] != "recordKey"]
        ),
        "recordKey: it is missing",
    ),
    "doubled field": (lambda d: note(d).update(name="uscc"), "uscc: the field stands twice"),
    "doubled property": (
        lambda d: note(d)["customProperties"].append({"property": "unit", "value": "x"}),
        "note: custom property unit stands twice",
    ),
    "unknown property": (
        lambda d: custom(note(d), "clasification", "P0"),
        "note: unknown custom property clasification",
    ),
    "unknown key": (
        lambda d: note(d).update(clasification="P0"),
        r"schema\.sample\.properties\.note\.clasification: Extra inputs",
    ),
    "wrong border": (lambda d: custom(note(d), "border", "B"), "note: the cross-border default"),
    "transform without a name": (
        lambda d: custom(note(d), "border", "T"),
        "note: the cross-border default is T, but no generalisation",
    ),
    "unknown generalisation": (
        lambda d: custom(note(d), "generalisation", "blur"),
        "note: unknown generalisation",
    ),
    "amount without a unit": (
        lambda d: note(d).update(logicalType="number", physicalType="decimal(18,6)"),
        "note: an amount needs its currency or unit",
    ),
    "decimal too wide": (
        lambda d: note(d).update(logicalType="number", physicalType="decimal(39,6)"),
        "note: the decimal's precision",
    ),
    "unknown type": (lambda d: note(d).update(physicalType="blob"), "note: unknown physicalType"),
    "types at odds": (lambda d: note(d).update(logicalType="date"), "note: logicalType and"),
    "enumeration of numbers": (
        lambda d: (
            note(d).update(logicalType="integer", physicalType="integer"),
            custom(note(d), "values", ["1"]),
        ),
        "note: only a string is an enumeration",
    ),
    "unknown kind of subject": (
        lambda d: prop(d, "subjectKinds").update(value=["ROBOT"]),
        "subjectKinds: unknown kind",
    ),
    "unknown form": (lambda d: prop(d, "form").update(value="RAW"), "form: unknown form"),
    "adverse without a feed": (
        lambda d: prop(d, "adverse").update(value=True),
        "feedLimitSeconds: an adverse product needs",
    ),
    "negative feed limit": (
        lambda d: prop(d, "feedLimitSeconds").update(value=-1),
        "feedLimitSeconds: it must be a number",
    ),
    "other table": (
        lambda d: d["schema"][0].update(name="other"),
        "schema: the table's name differs",
    ),
    "other file": (lambda d: d.update(name="other"), "name: it differs from the name of the file"),
    "other kind": (lambda d: d.update(kind="Table"), "kind: Input should be 'DataContract'"),
    "identifying by word": (
        lambda d: custom(note(d), "identifying", "yes"),
        "note: identifying must be true or false",
    ),
}


def load(directory: Path, document: dict, name: str = "sample") -> Catalogue:
    text = yaml.safe_dump(document, allow_unicode=True, sort_keys=False)
    (directory / f"{name}.yaml").write_text(text, encoding="utf-8")
    return Catalogue.load(directory)


def test_the_sample_itself_is_accepted(tmp_path):
    assert load(tmp_path, contract()).names() == ("sample",)


@pytest.mark.parametrize("case", CASES)
def test_an_unclear_contract_is_refused_with_its_file_and_field(tmp_path, case):
    spoil, message = CASES[case]
    document = contract()
    spoil(document)
    with pytest.raises(CatalogueError, match=message) as caught:
        load(tmp_path, document)
    assert all(problem.file == "sample.yaml" for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nname: b\n", "stands twice"),
        ("- 1\n", "not a mapping"),
        ("a: [1\n", "line 2"),
        ("kind: !!python/object:os.system x\n", "line 1"),
    ],
)
def test_a_file_that_is_no_contract_is_refused(tmp_path, text, message):
    (tmp_path / "sample.yaml").write_text(text)
    with pytest.raises(CatalogueError, match=message):
        Catalogue.load(tmp_path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "sample.yaml").write_bytes(b"name: \xff\xfe\n")
    with pytest.raises(CatalogueError, match=r"sample\.yaml: file: it is not UTF-8"):
        Catalogue.load(tmp_path)


def test_two_contracts_of_one_name_are_refused(tmp_path):
    load(tmp_path, contract())
    with pytest.raises(CatalogueError, match="another contract has this name"):
        load(tmp_path, contract(), "zweite")


def test_one_unit_with_two_names_is_refused(tmp_path):
    load(tmp_path, contract())
    second = contract()
    second["name"] = second["schema"][0]["name"] = "second"
    prop(second, "units")["value"][0]["nameZh"] = "示例二局"
    with pytest.raises(CatalogueError, match=r"second\.yaml: units: a unit has another name"):
        load(tmp_path, second, "second")


def test_an_empty_catalogue_is_refused(tmp_path):
    with pytest.raises(CatalogueError, match="no contract"):
        Catalogue.load(tmp_path)


# --- the command line -----------------------------------------------------------------------


def test_the_commands_print_json_for_machines():
    runner = CliRunner()
    listed = json.loads(runner.invoke(app, ["list", "--json"]).output)
    assert {entry["name"] for entry in listed} == PRODUCTS
    shown = json.loads(runner.invoke(app, ["show", "admin_penalty", "--json"]).output)
    assert shown["fields"][0]["name"] == "uscc"
    assert shown["fields"][0]["unit_name_zh"].startswith("示例")
    assert json.loads(runner.invoke(app, ["check", "--json"]).output)["ok"] is True


def test_the_commands_print_both_languages():
    runner = CliRunner()
    assert "行政处罚" in runner.invoke(app, ["list"]).output
    shown = runner.invoke(app, ["show", "admin_penalty"])
    assert shown.exit_code == 0
    assert "fine_10k" in shown.output


def test_check_fails_and_names_file_and_field(tmp_path):
    document = contract()
    note(document).update(classification="P9")
    with pytest.raises(CatalogueError):
        load(tmp_path, document)
    result = CliRunner().invoke(app, ["check", "--directory", str(tmp_path)])
    assert result.exit_code == 1
    assert "sample.yaml: note: unknown class" in result.output


def test_showing_an_unknown_product_names_the_known_ones(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["catalogue", "show", "religion", "--json"])
    read = capsys.readouterr()
    told = json.loads(read.err)
    assert (ended.value.code, read.out, told["reason"]) == (2, "", "UNKNOWN_PRODUCT")
    assert "admin_penalty" in told["hints"][0]
