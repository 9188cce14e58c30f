"""The page about SQL: its program runs as written, against a served gateway."""

from pathlib import Path

import pytest

from gateway.demo.cast import BANK, COMPANY_GRANT
from tests.conftest import ROOT
from tests.docs.markdown import blocks
from tests.docs.running import Served, run_python

pytestmark = pytest.mark.asyncio(loop_scope="session")
PAGE = ROOT / "docs" / "sql.md"


async def test_the_page_connects_with_each_tool(served: Served, tmp_path: Path) -> None:
    served.hand_over(BANK, tmp_path)
    shown = [each.text for each in blocks(PAGE) if each.language == "python"]
    assert len(shown) == 5
    program = "\n".join(shown)
    assert program.count("localhost:8443") == 1
    (tmp_path / "page.py").write_text(program.replace("localhost:8443", served.address))
    ran = await run_python("page.py", cwd=tmp_path)
    assert ran.code == 0, ran.text
    lines = ran.text.splitlines()
    assert lines[0] == "['name', 'reg_status', 'registered_capital', 'dispute_flag']"
    assert "firms" in ran.text
    assert lines[-4:-2] == ["5", "5"]
    assert lines[-2].startswith("['admin_penalty', ")
    assert lines[-2].endswith("'legal_entity_base', 'public_credit_grade']")
    for name in COMPANY_GRANT:
        assert f"'{name}'" in lines[-1]
