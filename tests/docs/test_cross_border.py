"""The walk across the border, as written: every block runs, and what the page shows comes."""

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.markdown import blocks, missing_lines
from tests.docs.test_first_hour import run_blocks
from tests.ports import free_port

PAGE = ROOT / "docs" / "cross-border.md"
DEADLINE_S = 2_400  # over a hundred programs one after the other, on a machine that does more
ROOMS = sorted(page.name for page in PAGE.parent.glob("cross-border-*.md"))


@pytest.mark.slow
@pytest.mark.timeout(DEADLINE_S + 20)
def test_the_page_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHECKOUT", str(ROOT))
    ports = {"8443": str(free_port()), "8490": str(free_port())}

    def local(text: str) -> str:
        for written, free in ports.items():
            text = text.replace(written, free)
        return text

    page = [block for block in blocks(PAGE) if block.language in ("sh", "text")]
    scripts = [local(block.text) for block in page if block.language == "sh"]
    outputs = iter(run_blocks(scripts, tmp_path, DEADLINE_S))
    output, checked = "", 0
    for block in page:
        if block.language == "sh":
            output = next(outputs)
        else:
            assert missing_lines(local(block.text), output) == [], output
            checked += 1
    assert checked == len(scripts)


def test_it_leads_to_the_page_of_every_room() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert len(ROOMS) >= 6
    assert [room for room in ROOMS if f"]({room})" not in text] == []
