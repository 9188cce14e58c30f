"""The first hour, as written: every block runs, and what the page shows is what comes."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.markdown import blocks, missing_lines
from tests.ports import free_port

PAGE = ROOT / "docs" / "first-hour.md"
MARK = "----- end of block"
DEADLINE_S = 900  # a page is programs one after the other, on a machine that does other work
VENV = Path(sys.executable).parent


def run_blocks(scripts: list[str], folder: Path, deadline_s: int = DEADLINE_S) -> list[str]:
    """Run the blocks in one shell, as a reader would, and return what each printed."""
    parts = ["set -eu", *(f"{script}\necho '{MARK}'" for script in scripts)]
    environment = os.environ | {
        "PATH": f"{VENV}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "proto")]),
    }
    environment.pop("XINGUAN_HOME", None)
    shell = subprocess.Popen(
        ["bash", "-c", "\n".join(parts)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that the gateway in the background ends with it
    )
    try:
        output, _ = shell.communicate(timeout=deadline_s)
    except subprocess.TimeoutExpired:
        os.killpg(shell.pid, signal.SIGKILL)
        output, _ = shell.communicate()
        pytest.fail(f"the page did not end within {deadline_s} s:\n{output}")
    finally:
        with contextlib.suppress(ProcessLookupError):  # nothing is left, as the page promises
            os.killpg(shell.pid, signal.SIGKILL)
    assert shell.returncode == 0, output
    return output.split(f"{MARK}\n")[:-1]


@pytest.mark.slow
@pytest.mark.timeout(DEADLINE_S + 20)
@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on this machine")
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    page = blocks(PAGE)
    port = str(free_port())
    scripts = [block.text.replace("8443", port) for block in page if block.language == "sh"]
    outputs = iter(run_blocks(scripts, tmp_path))
    output, checked = "", 0
    for block in page:
        if block.language == "sh":
            output = next(outputs)
        else:
            assert block.language == "text"
            assert missing_lines(block.text.replace("8443", port), output) == [], output
            checked += 1
    assert checked == len(scripts)


def test_the_comparison_sees_what_is_missing() -> None:
    assert missing_lines("a\nb...d\n", "x\na\nb c d\n") == []
    assert missing_lines("b\na\n", "a\nb\n") == ["a"]
    assert missing_lines("a.c\n", "abc\n") == ["a.c"]
