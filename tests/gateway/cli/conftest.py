"""The command line as people use it: arguments in, exit code and both outputs back."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import main


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def reason(self) -> str:
        return json.loads(self.err)["reason"]


class Xinguan:
    """Runs commands against one deployment."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Ran:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        read = self._capsys.readouterr()
        return Ran(int(caught.value.code or 0), read.out, read.err)

    def do(self, *arguments: object) -> Any:
        ran = self(*arguments, "--json")
        assert ran.code == 0, ran.err
        return ran.json

    def entry(self, index: int) -> Any:
        """Publish what is not yet, and read one entry."""
        self.do("audit", "integrate")
        return self.do("audit", "entries", "--start", index, "--count", 1)[0]

    def refuse(self, *arguments: object) -> str:
        ran = self(*arguments, "--json")
        assert ran.code == 2, ran.err
        assert ran.out == ""
        return ran.reason


@pytest.fixture
def xinguan(tmp_path, capsys, monkeypatch) -> Xinguan:
    home = tmp_path / "home"
    monkeypatch.setenv("XINGUAN_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "200")
    program = Xinguan(home, capsys)
    program.do("init", home, "--dev")
    return program
