"""The demonstration comes out as promised, soon enough, and the READMEs tell its steps."""

import json
import re

import pytest
from pyarrow import flight

from gateway.cli.main import main
from gateway.demo.play import STEPS
from tests.conftest import ROOT

PAGES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
SET_UP = 2  # steps told before the gateway opens
LONGEST_S = 60.0


@pytest.mark.slow
def test_every_step_comes_out_for_machines_and_in_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (ended.value.code, told["ok"]) == (0, True), told
    steps = told["steps"]
    assert len(steps) == SET_UP + len(STEPS)
    assert all(step["ok"] for step in steps)
    assert sum(step["seconds"] for step in steps) < LONGEST_S
    facts = {name: value for step in steps for name, value in step.items()}
    # What the partner's own steps found out, as they tell it to machines.
    assert set(facts["versions"]) == {"terms", "mapping", "whitelist"}
    assert (facts["total"], facts["threshold"]) == (9_999, 10_000)
    assert (facts["party"], facts["alone"]) == ("reg:SG:201900000K", "cannot_tell")
    assert facts["forged"] == "FOREIGN_SIGNATURE"
    # What was acknowledged before is published when the auditor verifies.
    verified = next(step["entries"] for step in steps if "proved" in step)
    assert verified > max(step["entry"] for step in steps if isinstance(step.get("entry"), int))
    refusals = [step["refused"] for step in steps if isinstance(step.get("refused"), str)]
    assert refusals == ["XB_MECHANISM", "END_USER_MISSING"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_readme_tells_as_many_steps_as_are_played(page) -> None:
    steps = re.findall(r"^(\d+)\. ", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert steps[: SET_UP + len(STEPS)] == [str(n + 1) for n in range(SET_UP + len(STEPS))]
    assert len(steps) == SET_UP + len(STEPS)


async def read_from_a_fenced_node(_: object) -> None:
    raise flight.FlightUnavailableError("NODE_FENCED: ask again in a moment")


@pytest.mark.slow
def test_a_step_that_fails_is_told_and_ends_it(capsys, monkeypatch) -> None:
    monkeypatch.setattr("gateway.demo.play.STEPS", (read_from_a_fenced_node, *STEPS))
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (ended.value.code, told["ok"]) == (1, False)
    assert [step["ok"] for step in told["steps"]] == [True, True, False]
    assert "NODE_FENCED" in told["steps"][-1]["failure"]
