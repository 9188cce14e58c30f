"""The page of the store apart names commands and options that are there."""

import shlex

import pytest
from click.testing import CliRunner
from typer.main import get_command

from gateway.cli.main import app
from tests.conftest import ROOT
from tests.docs.markdown import blocks

PAGE = ROOT / "docs" / "cross-border-sealed.md"
LINES = [
    line.partition("#")[0].strip()
    for block in blocks(PAGE)
    if block.language == "sh"
    for line in block.text.splitlines()
    if line.startswith("xinguan ")
]


@pytest.mark.parametrize("line", LINES)
def test_every_command_of_the_page_is_there_with_its_options(line: str) -> None:
    words = shlex.split(line)[1:]
    options = [word for word in words if word.startswith("--")]
    path: list[str] = []
    command = get_command(app)
    for word in words:
        children = getattr(command, "get_command", None)
        child = None if children is None else children(None, word)
        if child is None:
            break
        command, path = child, [*path, word]
    assert path
    assert not hasattr(command, "get_command"), f"{path} needs a command"
    ran = CliRunner().invoke(get_command(app), [*path, "--help"], terminal_width=200)
    assert ran.exit_code == 0, ran.output
    assert [option for option in options if option not in ran.output] == []


def test_the_page_has_commands() -> None:
    assert len(LINES) >= 9
