"""The session with the stand-alone verifier, as written: every block runs."""

import re
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.markdown import blocks, missing_lines, prose
from tests.docs.test_first_hour import VENV, run_blocks

PAGE = ROOT / "docs" / "audit.md"


@pytest.mark.slow
@pytest.mark.timeout(920)
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    page = blocks(PAGE)
    scripts = [block.text for block in page if block.language == "sh"]
    program = tmp_path / "bin" / "xinguan-verify"
    if not (VENV / program.name).exists():
        # An environment that was installed before the program had its name.
        program.parent.mkdir()
        program.write_text(
            f'#!/bin/sh\nexec "{sys.executable}" -m audit.standalone.verifier "$@"\n'
        )
        program.chmod(0o755)
        scripts[0] = f'export PATH="{program.parent}:$PATH"\n{scripts[0]}'
    outputs = iter(run_blocks(scripts, tmp_path))
    output = ""
    for block in page:
        if block.language == "sh":
            output = next(outputs)
        elif block.language == "text":
            assert missing_lines(block.text, output) == [], output


def test_every_code_of_the_verifier_is_on_the_page() -> None:
    source = (ROOT / "audit" / "standalone" / "verifier.py").read_text(encoding="utf-8")
    codes = set(re.findall(r'Refused\(\s*"([A-Z_]+)"', source))
    codes |= set(re.findall(r'need\(\s*(?:[^"]|"[^"]*"(?=[^,]*\bin\b))*?,\s*"([A-Z_]+)",', source))
    text = prose(PAGE)
    assert {code for code in codes if f"`{code}`" not in text} == set()
    assert "PROOF" in codes


def test_the_program_is_installed_under_its_name() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'xinguan-verify = "audit.standalone.verifier:command"' in text
