"""Bad files and addresses on the command line end with a clear error, never with a traceback."""

from pathlib import Path

import pytest

from gateway.cli.main import main


def run(*words: str | Path) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code


@pytest.mark.parametrize(
    "text", ["{}", "[]", "no json", '{"quarantined": -1}', '{"quarantined": true}']
)
def test_a_file_that_is_no_summary_of_an_import(text, tmp_path, capsys):
    summary = tmp_path / "x.import.json"
    summary.write_text(text)
    ended = run("load", "legal_entity_base", "rows.parquet", "--import-summary", summary)
    assert ended == 2
    assert "BAD_REQUEST" in capsys.readouterr().err


def test_a_summary_that_is_not_there(tmp_path, capsys):
    gone = tmp_path / "gone.json"
    assert run("load", "legal_entity_base", "rows.parquet", "--import-summary", gone) == 2
    assert "gone.json" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["127.0.0.1:99999", "127.0.0.1", "127.0.0.1:x", ":8443"])
def test_an_address_that_is_none(address, tmp_path, capsys):
    assert run("serve", "--listen", address, "--home", tmp_path) == 2
    assert "HOST:PORT" in capsys.readouterr().err


def test_a_register_that_is_not_there(tmp_path, capsys):
    assert run("demo", "--data", tmp_path / "gone.csv") == 2
    assert "UNREADABLE" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["gone", "gone.csv"])
def test_records_that_are_not_there(name, tmp_path, capsys):
    assert run("load", "legal_entity_base", tmp_path / name, "--home", tmp_path) == 2
    told = capsys.readouterr().err
    assert "SOURCE_FAILED" in told
    assert "the file is not there" in told
    assert str(tmp_path) not in told
