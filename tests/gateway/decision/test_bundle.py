import json
import shutil

import pytest

from gateway.decision import bundle as bundles
from gateway.decision.bundle import DEFAULT_POLICIES, BuildError, build, load, main
from gateway.domain.errors import UnavailableError
from tests.policies.engines import opa_binary

SOURCES = ("xinguan", "data", "bundle", "capabilities.json")


@pytest.fixture
def policies(tmp_path):
    """A copy of the policy that a test may spoil."""
    for name in SOURCES:
        source = DEFAULT_POLICIES / name
        copy = shutil.copytree if source.is_dir() else shutil.copyfile
        copy(source, tmp_path / name)
    return tmp_path


def refused(policies):
    with pytest.raises(UnavailableError) as caught:
        load(policies)
    assert caught.value.code == "POLICY_MISMATCH"
    assert str(policies) not in caught.value.message


def test_the_bundle_beside_the_sources_is_fresh(policies):
    assert load(policies).digest == load().digest
    assert json.loads(load().data)["bundle"]["revision"] == load().revision


def test_a_changed_rule_makes_the_bundle_stale(policies):
    path = policies / "xinguan" / "callers" / "callers.rego"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    refused(policies)


def test_a_changed_number_makes_the_bundle_stale(policies):
    path = policies / "data" / "thresholds.json"
    path.write_text(
        path.read_text(encoding="utf-8").replace("100000,", "100001,"), encoding="utf-8"
    )
    refused(policies)


def test_a_new_rule_file_makes_the_bundle_stale(policies):
    (policies / "xinguan" / "extra.rego").write_text("package xinguan\n", encoding="utf-8")
    refused(policies)


def test_a_changed_text_of_a_reason_decides_nothing(policies):
    path = policies / "data" / "reasons.json"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert load(policies).revision == load().revision


def test_a_test_is_no_source(policies):
    (policies / "xinguan" / "more_test.rego").write_text("package more_test\n", encoding="utf-8")
    assert load(policies).revision == load().revision


@pytest.mark.parametrize("name", ["policy.wasm", "bundle.tar.gz"])
def test_a_tampered_artefact_is_refused(policies, name):
    path = policies / "bundle" / name
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)
    refused(policies)


@pytest.mark.parametrize("name", ["policy.wasm", "bundle.tar.gz", "manifest.json"])
def test_a_missing_file_is_refused(policies, name):
    (policies / "bundle" / name).unlink()
    refused(policies)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"sources": 1}'])
def test_an_unreadable_manifest_is_refused(policies, text):
    (policies / "bundle" / "manifest.json").write_text(text, encoding="utf-8")
    refused(policies)


@pytest.mark.parametrize("text", ["{", "[]", '{"x": {}}', '{"x": {"source": "s"}}'])
def test_a_malformed_table_is_refused(policies, text):
    (policies / "data" / "lists.json").write_text(text, encoding="utf-8")
    refused(policies)


@pytest.mark.opa
def test_a_rebuild_gives_the_same_bytes(policies):
    before = {p.name: p.read_bytes() for p in (policies / "bundle").iterdir()}
    build(policies, opa_binary())
    assert {p.name: p.read_bytes() for p in (policies / "bundle").iterdir()} == before


@pytest.mark.opa
def test_a_policy_with_a_clock_cannot_be_built(policies):
    path = policies / "xinguan" / "callers" / "callers.rego"
    text = path.read_text(encoding="utf-8")
    path.write_text(text + "\nlate if time.now_ns() > 1\n", encoding="utf-8")
    with pytest.raises(BuildError, match=r"time\.now_ns"):
        build(policies, opa_binary())


def test_without_a_binary_nothing_is_built(policies, tmp_path):
    with pytest.raises(BuildError, match="could not be run"):
        build(policies, tmp_path / "no-such-opa")


def test_the_command_checks_and_explains_itself(capsys):
    assert main(["check"]) == 0
    assert bundles.load().digest in capsys.readouterr().out
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
