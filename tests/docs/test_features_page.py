"""The walk-through of features, as written: every block runs, what the page shows comes."""

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.markdown import blocks, missing_lines
from tests.docs.test_first_hour import run_blocks
from tests.ports import free_port

PAGE = ROOT / "docs" / "features.md"
DEADLINE_S = 900  # fifteen programs start one after the other, on a machine that does other work


@pytest.mark.slow
@pytest.mark.timeout(DEADLINE_S + 20)
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    page = [block for block in blocks(PAGE) if block.language in ("sh", "text")]
    port = str(free_port())
    scripts = [block.text.replace("8443", port) for block in page if block.language == "sh"]
    outputs = iter(run_blocks(scripts, tmp_path, DEADLINE_S))
    output, checked = "", 0
    for block in page:
        if block.language == "sh":
            output = next(outputs)
        else:
            assert missing_lines(block.text, output) == [], output
            checked += 1
    assert checked == len(scripts)
