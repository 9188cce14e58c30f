"""The page about subjects, as written: every block runs, and what it shows is what comes."""

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.markdown import blocks, missing_lines
from tests.docs.test_first_hour import run_blocks

PAGE = ROOT / "docs" / "subjects.md"


@pytest.mark.slow
@pytest.mark.timeout(920)
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    page = blocks(PAGE)
    scripts = [each.text for each in page if each.language == "sh"]
    outputs = iter(run_blocks(scripts, tmp_path, deadline_s=900))
    output, checked = "", 0
    for block in page:
        if block.language == "sh":
            output = next(outputs)
        else:
            assert missing_lines(block.text, output) == [], output
            checked += 1
    assert checked == 7
