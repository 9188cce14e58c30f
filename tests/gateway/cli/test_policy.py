import json

import pytest
from typer.testing import CliRunner

from gateway.cli.policy import app
from gateway.decision.bundle import load
from gateway.decision.input import build_input
from tests.policies import facts_world as w
from tests.policies.engines import LAW

RUNNER = CliRunner()


def run(*arguments):
    return RUNNER.invoke(app, list(arguments))


@pytest.fixture
def request_file(tmp_path):
    facts = w.banking("uscc", "turnover")
    path = tmp_path / "request.json"
    document = {"now": facts.now, **build_input(facts, LAW.limits)}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_explain_in_chinese_english_and_for_machines(request_file):
    assert "企业授权" in run("explain", str(request_file)).output
    assert "authorisation" in run("explain", str(request_file), "--lang", "en").output
    document = json.loads(run("explain", str(request_file), "--json").output)
    assert document["fields"] == {"turnover": "drop", "uscc": "allow"}


def test_explain_decides_a_kept_input_at_a_given_time(tmp_path, request_file):
    document = json.loads(request_file.read_text(encoding="utf-8"))
    now = document.pop("now")
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps(document), encoding="utf-8")
    assert run("explain", str(kept)).exit_code == 1
    assert json.loads(run("explain", str(kept), "--at", str(now), "--json").output)["allow"]
    # An input belongs to its day and year (counters, five years back): past them, no answer.
    later = run("explain", str(kept), "--at", str(now + 86_400))
    assert later.exit_code == 1
    assert "POLICY_UNDEFINED" in later.output


def test_explain_refuses_a_broken_or_missing_document(tmp_path, request_file):
    broken = tmp_path / "broken.json"
    broken.write_text("{", encoding="utf-8")
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00")
    for arguments in (
        ("explain", str(broken)),
        ("explain", str(binary)),
        ("explain", str(tmp_path / "missing.json")),
        ("explain", str(request_file), "--lang", "fr"),
    ):
        result = run(*arguments)
        assert result.exit_code == 1
        assert "BAD_REQUEST" in result.output


def test_rules_as_lines_page_and_json():
    assert "R34" in run("rules").output
    assert run("rules", "--markdown", "--lang", "en").output.startswith("# Rules")
    assert len(json.loads(run("rules", "--json").output)) == 75


def test_coverage_is_complete():
    result = run("coverage")
    assert result.exit_code == 0
    assert "R30 decision" in result.output
    rows = json.loads(run("coverage", "--json").output)
    assert all(row["proven"] or row["issue"] for row in rows)


def test_check_prints_the_digest_and_refuses_a_stale_bundle(tmp_path):
    assert json.loads(run("check", "--json").output)["digest"] == load().digest
    result = run("check", "--policies", str(tmp_path))
    assert result.exit_code == 1
    assert "POLICY_MISMATCH" in result.output


def test_build_without_a_binary_says_so(tmp_path):
    result = run("build", "--opa", str(tmp_path / "none"))
    assert result.exit_code == 1
    assert "could not be run" in result.output
