import json

import pytest
from typer.testing import CliRunner

from gateway.cli.main import main
from gateway.cli.policy import app
from gateway.decision.bundle import load
from gateway.decision.input import build_input
from tests.conftest import ROOT
from tests.policies import facts_world as w
from tests.policies.engines import LAW

RUNNER = CliRunner()


def run(*arguments):
    return RUNNER.invoke(app, list(arguments))


def refusal(capsys, code, *arguments):
    """The whole program's refusal, for machines, on standard error alone."""
    with pytest.raises(SystemExit) as ended:
        main(["policy", *map(str, arguments), "--json"])
    read = capsys.readouterr()
    assert (ended.value.code, read.out) == (code, ""), read
    return json.loads(read.err)


def refused(capsys, code, *arguments):
    return refusal(capsys, code, *arguments)["reason"]


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


def test_explain_decides_a_kept_input_at_a_given_time(tmp_path, request_file, capsys):
    document = json.loads(request_file.read_text(encoding="utf-8"))
    now = document.pop("now")
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps(document), encoding="utf-8")
    assert refused(capsys, 2, "explain", kept) == "BAD_REQUEST"
    assert json.loads(run("explain", str(kept), "--at", str(now), "--json").output)["allow"]
    # An input belongs to its day and year (counters, five years back): past them, no answer.
    assert refused(capsys, 1, "explain", kept, "--at", now + 86_400) == "POLICY_UNDEFINED"


def test_explain_refuses_a_broken_or_missing_document(tmp_path, request_file, capsys):
    broken = tmp_path / "broken.json"
    broken.write_text("{", encoding="utf-8")
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00")
    for arguments in (
        ("explain", broken),
        ("explain", binary),
        ("explain", tmp_path / "missing.json"),
        ("explain", request_file, "--lang", "fr"),
        ("rules", "--lang", "fr"),
    ):
        assert refused(capsys, 2, *arguments) == "BAD_REQUEST"


def test_a_directory_without_policies_is_refused(tmp_path, request_file, capsys):
    for arguments in (
        ("rules",),
        ("coverage",),
        ("build",),
        ("check",),
        ("explain", request_file),
        ("sign", "--key", tmp_path / "key.pem", "--output", tmp_path / "signed"),
    ):
        told = refused(capsys, 1, *arguments, "--policies", tmp_path / "none")
        assert told == "POLICY_MISMATCH"
    tables = tmp_path / "data"
    tables.mkdir()
    for name in ("rules", "reasons"):
        (tables / f"{name}.json").write_text("[]")
    assert refused(capsys, 1, "rules", "--policies", tmp_path) == "POLICY_MISMATCH"


def test_rules_as_lines_page_and_json():
    assert "R34" in run("rules").output
    for language, page in (("en", "rules.md"), ("zh", "rules.zh-CN.md")):
        told = run("rules", "--markdown", "--lang", language).output
        assert told == (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert len(json.loads(run("rules", "--json").output)) == 75


def test_coverage_is_complete():
    result = run("coverage")
    assert result.exit_code == 0
    assert "R30 decision" in result.output
    rows = json.loads(run("coverage", "--json").output)
    assert all(row["proven"] or row["issue"] for row in rows)


def test_check_prints_the_digest_and_refuses_a_stale_bundle(tmp_path, capsys):
    assert json.loads(run("check", "--json").output)["digest"] == load().digest
    assert refused(capsys, 1, "check", "--policies", tmp_path) == "POLICY_MISMATCH"


def test_without_a_binary_nothing_is_built_or_signed(tmp_path, capsys):
    target = tmp_path / "signed.tar.gz"
    for words in (("build",), ("sign", "--key", tmp_path / "key.pem", "--output", target)):
        told = refusal(capsys, 1, *words, "--opa", tmp_path / "none")
        assert (told["reason"], "could not be run" in told["message"]) == ("POLICY_MISMATCH", True)
    assert not target.exists()


def test_a_signed_bundle_is_told_to_machines(tmp_path):
    """A program that signs nothing stands in for OPA: what is signed is shown beside `sign`."""
    idle = tmp_path / "opa"
    idle.write_text("#!/bin/sh\n")
    idle.chmod(0o755)
    target = tmp_path / "signed.tar.gz"
    words = ("sign", "--key", str(tmp_path / "key.pem"), "--output", str(target))
    words += ("--opa", str(idle))
    assert json.loads(run(*words, "--json").output) == {"bundle": str(target)}
    assert run(*words).output == f"{target}\n"
