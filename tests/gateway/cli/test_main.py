import json
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli.main import COMMANDS, main
from tests.simulator import uscc


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_found_and_explains_itself(xinguan, command) -> None:
    ran = xinguan(command, "--help")
    assert ran.code == 0
    assert f"Usage: xinguan {command}" in ran.out


def test_the_programs_help_names_every_command(xinguan) -> None:
    ran = xinguan("--help")
    assert ran.code == 0
    assert all(command in ran.out for command in COMMANDS)
    assert xinguan("no-such-command").code == 2


def test_init_says_that_its_authority_is_for_development(xinguan, tmp_path) -> None:
    ran = xinguan("init", tmp_path / "second", "--dev")
    assert ran.code == 0
    assert "beside the gateway" in ran.out
    assert "never in production" in ran.out


def test_init_for_production_says_what_is_still_to_do(xinguan, tmp_path) -> None:
    public = xinguan.home / "dev-authority/authority.pub.pem"
    ran = xinguan("init", tmp_path / "second", "--authority", public)
    assert ran.code == 0
    assert "server.csr" in ran.out


def test_init_refuses_what_it_should(xinguan, tmp_path) -> None:
    assert xinguan.refuse("init", xinguan.home, "--dev") == "NOT_EMPTY"
    assert xinguan.refuse("init", tmp_path / "x") == "NO_AUTHORITY"
    assert xinguan.refuse("init", tmp_path / "x", "--dev", "--node", "Bad Name") == "BAD_CONFIG"
    assert xinguan.refuse("init", tmp_path / "x", "--dev", "--operator", "nobody") == "BAD_ID"
    assert not (tmp_path / "x").exists()


def test_init_on_postgresql_and_the_commands_after_it(xinguan, tmp_path, postgres) -> None:
    url = postgres.database().conninfo
    words = ("--dev", "--state", url)
    assert xinguan.do("init", tmp_path / "remote", *words)["state"] == "PostgreSQL"
    home = ("--home", tmp_path / "remote")
    before = xinguan.do("audit", "integrate", *home)["size"]
    xinguan.do("party", "add", uscc(7), "--name", "示例机构", "--role", "BANK", *home)
    assert [row["name"] for row in xinguan.do("party", "list", *home)] == ["示例机构"]
    assert xinguan.do("audit", "integrate", *home)["size"] > before > 0
    assert not list((tmp_path / "remote").rglob("*.sqlite3"))
    assert xinguan.refuse("init", tmp_path / "other", *words) == "NOT_EMPTY"
    away = "postgresql://u@127.0.0.1:1/x"
    ran = xinguan("init", tmp_path / "other", "--dev", "--state", away, "--json")
    assert (ran.code, ran.reason) == (1, "AUDIT_UNAVAILABLE")
    plain = "postgresql://u:words@127.0.0.1/x"
    assert xinguan.refuse("init", tmp_path / "other", "--dev", "--state", plain) == "BAD_CONFIG"
    assert not (tmp_path / "other").exists()


def test_a_refusal_goes_to_standard_error_with_its_remedy(xinguan) -> None:
    ran = xinguan("party", "suspend", uscc(5))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("NOT_FOUND: no such organisation")
    assert "remedy: register it: xinguan party add" in ran.err


def test_a_missing_deployment_says_how_to_make_one(xinguan, tmp_path) -> None:
    ran = xinguan("party", "list", "--home", tmp_path / "nowhere")
    assert ran.code == 2
    assert "NO_CONFIG" in ran.err
    assert "xinguan init" in ran.err


def test_a_setting_with_an_unknown_key_is_refused_by_every_command(xinguan) -> None:
    config = xinguan.home / "gateway/xinguan.toml"
    config.write_text(config.read_text() + "\n[limits]\nrows_a_day = 5\n")
    ran = xinguan("party", "list")
    assert ran.code == 2
    assert "unknown key limits.rows_a_day; did you mean rows_per_day?" in ran.err


def test_a_file_that_is_not_there_is_named_shortly(xinguan, tmp_path) -> None:
    ran = xinguan("licence", "issue", "--document", tmp_path / "missing.jws")
    assert ran.code == 2
    assert "missing.jws" in ran.err


def test_a_state_that_cannot_be_opened_is_no_bad_input(xinguan) -> None:
    state: Path = xinguan.home / "gateway/state/state.sqlite3"
    for side in ("", "-wal", "-shm"):
        Path(f"{state}{side}").unlink(missing_ok=True)
    state.write_bytes(b"rubbish" * 1000)
    ran = xinguan("party", "list", "--json")
    assert (ran.code, ran.reason) == (1, "AUDIT_UNAVAILABLE")


def test_without_arguments_the_program_shows_its_help(capsys) -> None:
    with pytest.raises(SystemExit):
        main([])
    read = capsys.readouterr()
    assert "party" in read.out + read.err


def test_the_laws_own_words_stand_where_a_refusal_has_none(xinguan) -> None:
    ran = xinguan("stop-egress", "--org", "uscc:91460099")
    assert "BAD_ID" in ran.err
    assert "remedy:" in ran.err
    assert "GB 32100" in ran.err


def test_a_file_that_can_not_be_used_is_told_in_words(xinguan, tmp_path) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    (tmp_path / "document.jws").write_text("a.b.c")
    ran = xinguan("feed", "append", file / "feed.jsonl", tmp_path / "document.jws", "--json")
    assert (ran.code, ran.reason) == (2, "FILE_FAILED")
    assert str(tmp_path) not in ran.err


def test_what_stands_in_for_a_file_error(monkeypatch, capsys) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "/somewhere/secret/log.jws")

    monkeypatch.setattr("gateway.cli.main.app", fail)
    with pytest.raises(SystemExit) as caught:
        main(["party", "list"])
    told = capsys.readouterr().err
    assert caught.value.code == 1
    assert "log.jws: No space left on device" in told
    assert "/somewhere" not in told


@pytest.mark.parametrize(("target", "code"), [("/dev/full", 1), ("| head -c 0", 0)])
def test_output_that_can_not_be_written(xinguan, tmp_path, target, code) -> None:
    """In a process of its own: what the interpreter does at its end is a part of it."""
    program = Path(sys.executable).parent / "xinguan"
    redirect = target if target.startswith("|") else f"> {target}"
    done = subprocess.run(
        ["sh", "-c", f"{program} catalogue list --json {redirect}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    if code:
        assert json.loads(done.stderr)["reason"] == "FILE_FAILED"


def test_an_argument_that_is_not_text_is_refused_by_its_place(xinguan) -> None:
    assert xinguan.refuse("licence", "suspend", "a\udcffb") == "BAD_REQUEST"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("stop-egress", "--lift"), "name one scope"),
        (("stop-egress", "--no-such-option"), "--no-such-option"),
        (("licence", "show"), "LICENCE"),
        (("no-such-command",), "no-such-command"),
        (("repair", "list", "--home", "/nowhere/at/all"), ""),
    ],
)
def test_wrong_words_are_told_to_machines_as_json(xinguan, words, told) -> None:
    ran = xinguan(*words, "--json")
    assert (ran.code, ran.out) == (2, "")
    assert told in json.loads(ran.err)["message"]
