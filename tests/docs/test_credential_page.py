"""The page about credentials, as written: every block runs, and what it shows is what comes."""

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.markdown import blocks, missing_lines
from tests.docs.test_first_hour import run_blocks
from tests.ports import free_port

PAGE = ROOT / "docs" / "cross-border-credential.md"


@pytest.mark.slow
@pytest.mark.timeout(920)
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    ports = {"8443": str(free_port()), "8490": str(free_port())}

    def local(text: str) -> str:
        for written, free in ports.items():
            text = text.replace(written, free)
        return text

    page = [block for block in blocks(PAGE) if block.language in {"sh", "text"}]
    scripts = [local(block.text) for block in page if block.language == "sh"]
    outputs = iter(run_blocks(scripts, tmp_path, deadline_s=900))
    output, checked = "", 0
    for block in page:
        if block.language == "sh":
            output = next(outputs)
        else:
            assert missing_lines(local(block.text), output) == [], output
            checked += 1
    assert checked == len(scripts)
