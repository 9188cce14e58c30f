"""How results are printed for people."""

import json

import pytest

from gateway.cli.console import show

ROWS = [{f"column-{n}": f"value-{n}-of-row-{row}" for n in range(12)} for row in range(2)]


@pytest.mark.parametrize(("columns", "lines"), [("80", True), ("300", False)])
def test_a_table_that_does_not_fit_is_told_line_by_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: str, lines: bool
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    show(ROWS, as_json=False, title="Things")
    told = capsys.readouterr().out
    assert told.count("Things") == (len(ROWS) if lines else 1)
    for row in ROWS:
        for value in row.values():
            assert value in told  # nothing is folded or cut


def test_a_value_is_shown_as_it_is_whatever_it_looks_like(capsys) -> None:
    told = {"content": "[/red] [bold]ends[/bold]"}
    show(told, as_json=False, title="One")
    show([told, told], as_json=False, title="Several")
    assert capsys.readouterr().out.count("[/red] [bold]ends[/bold]") == 3


def test_a_value_cannot_act_on_the_terminal(capsys) -> None:
    told = {"issuer": "\x1b[2J\x1b[31mVERIFIED: yes", "half": "a\ud800b", "list": ["\x07bell"]}
    show(told, as_json=False, title="One")
    show([told], as_json=False, title="Several")
    show(told, as_json=True, title="JSON")
    out = capsys.readouterr().out
    assert "\x1b[2J" not in out
    assert "\x07" not in out
    assert "VERIFIED: yes" in out
    assert json.loads(out[out.index("{") :]) == told
