"""The page on witnesses, as written: every block runs, and what it shows is what comes."""

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.markdown import blocks, missing_lines
from tests.docs.test_first_hour import run_blocks
from tests.ports import free_port

PAGE = ROOT / "docs" / "witnesses.md"


DEADLINE_S = 900  # some fifteen commands, each of which loads the program anew


@pytest.mark.slow
@pytest.mark.timeout(DEADLINE_S + 30)
def test_a_second_organisation_runs_a_witness(tmp_path: Path) -> None:
    ports = {"8481": str(free_port()), "8480": str(free_port())}

    def moved(text: str) -> str:
        for shown, free in ports.items():
            text = text.replace(shown, free)
        return text

    page = blocks(PAGE)
    scripts = [moved(block.text) for block in page if block.language == "sh"]
    outputs = iter(run_blocks(scripts, tmp_path, DEADLINE_S))
    output, checked = "", 0
    for block in page:
        if block.language == "sh":
            output = next(outputs)
        else:
            assert block.language == "text"
            assert missing_lines(moved(block.text), output) == [], output
            checked += 1
    assert checked == sum(block.language == "sh" for block in page)
