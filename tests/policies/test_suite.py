"""What OPA itself says about the policy: tests, coverage, format, strict check."""

import json
import subprocess

import pytest

from gateway.decision.bundle import DEFAULT_POLICIES as POLICIES
from gateway.decision.bundle import policy_data
from tests.policies.engines import opa_binary

pytestmark = pytest.mark.opa
COVERAGE_FLOOR = 99.5


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("opa") / "data.json"
    path.write_bytes(policy_data(POLICIES, "0" * 64))
    return path


def opa(*arguments):
    return subprocess.run(
        [opa_binary(), *arguments], cwd=POLICIES, capture_output=True, text=True, check=False
    )


def test_every_rego_test_passes(data):
    run = opa("test", "--format", "json", "xinguan", str(data))
    outcomes = json.loads(run.stdout)
    assert [t["name"] for t in outcomes if t.get("fail") or t.get("error")] == []
    assert len(outcomes) > 280


def test_the_tests_reach_the_rules(data):
    report = json.loads(opa("test", "--coverage", "xinguan", str(data)).stdout)
    assert report["coverage"] >= COVERAGE_FLOOR


def test_format_and_strict_check():
    assert opa("fmt", "--list", "xinguan").stdout == ""
    run = opa("check", "--strict", "xinguan")
    assert run.returncode == 0, run.stderr
    rules = [
        p.relative_to(POLICIES).as_posix()
        for p in POLICIES.glob("xinguan/**/*.rego")
        if "_test" not in p.name
    ]
    run = opa("check", "--strict", "--capabilities", "capabilities.json", *rules)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    "body", ['http.send({"method": "get", "url": "x"})', "time.now_ns()", 'sprintf("%d", [1])']
)
def test_capabilities_refuse_a_clock_a_network_and_sprintf(tmp_path, body):
    (tmp_path / "x.rego").write_text(f"package x\n\ny := {body}\n", encoding="utf-8")
    run = opa("check", "--capabilities", "capabilities.json", str(tmp_path))
    assert run.returncode != 0
    assert "undefined function" in run.stderr
