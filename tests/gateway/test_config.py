import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from gateway.config import (
    ConfigError,
    Files,
    Limits,
    Log,
    Profile,
    Replicas,
    Server,
    Settings,
    Timestamps,
    Witnesses,
    parse_settings,
    read_settings,
)
from tests.conftest import ROOT

UNITS = ("_bytes", "_ms", "_s", "_rows", "_subjects", "_entries", "_per_second", "_per_day", "_ppm")


def refused(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse_settings(text)
    assert caught.value.code == "BAD_CONFIG"
    return caught.value


def test_an_empty_file_means_the_defaults() -> None:
    settings = parse_settings("")
    assert settings == Settings()
    assert settings.profile is Profile.STANDARD
    assert settings.limits.max_batch_subjects == 10_000


def test_what_is_written_is_read() -> None:
    settings = parse_settings(
        'profile = "dev"\nnode = "hn-1"\n[limits]\npolicy_deadline_ms = 50\n'
        '[server]\nlisten = "[::1]:9000"\n[switches]\nborder_bulk = true\nk_anonymity = 5\n'
    )
    assert settings.profile is Profile.DEV
    assert settings.limits.policy_deadline_ms == 50
    assert settings.switches == {"border_bulk": True, "k_anonymity": 5}


def test_every_limit_has_its_unit_in_its_name() -> None:
    for name in Limits.model_fields:
        assert name.endswith(UNITS), name


@pytest.mark.parametrize(
    ("table", "owner"),
    [
        (Settings, "settings"),
        (Server, "server"),
        (Replicas, "replicas"),
        (Limits, "limits"),
        (Log, "log"),
        (Witnesses, "(?:witnesses|limits)"),
        (Timestamps, "settings"),
        (Files, "(?:files|names)"),
    ],
)
def test_every_setting_is_read_by_the_gateway(table: type[BaseModel], owner: str) -> None:
    """A setting that is accepted and has no effect is worse than one that is refused."""
    sources = [path for path in (ROOT / "gateway").rglob("*.py") if path.name != "config.py"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    read = set(re.findall(rf"\b{owner}\.([a-z_]+)\b", text))
    assert [name for name in table.model_fields if name not in read] == []


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("profil = 'dev'", "unknown key profil; did you mean profile?"),
        ("[limits]\nmax_batch_subject = 1", "unknown key limits.max_batch_subject; did you mean"),
        ("[limit]\nx = 1", "unknown key limit; did you mean limits?"),
        ("[server]\nzzz = 1", "unknown key server.zzz"),
        ("[files]\nsecret = 'x'", "unknown key files.secret"),
        ("a = 1\nb = 2", "unknown key a"),
    ],
)
def test_an_unknown_key_is_refused_by_its_name(text: str, named: str) -> None:
    assert named in refused(text).message


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[limits]\npolicy_deadline_ms = 0", "limits.policy_deadline_ms"),
        ("[limits]\nmax_batch_subjects = 10001", "limits.max_batch_subjects"),
        ("[limits]\ngate_wait_ms = '5'", "limits.gate_wait_ms"),
        ("[limits]\ndecision_cache_entries = 0", "limits.decision_cache_entries"),
        ("profile = 'yolo'", "profile"),
        ("node = 'Has Blanks'", "node"),
        ("[server]\nlisten = 'localhost'", "server.listen"),
        ("[server]\nlisten = 'localhost:70000'", "server.listen"),
        ("[server]\nlisten = ':1'", "server.listen"),
        ("[server]\nlisten = '[nonsense]:1'", "server.listen"),
        ("[server]\nserver_names = []", "server.server_names"),
        *(
            (f"[server]\nserver_names = ['localhost', '{name}']", "server.server_names.1")
            for name in (
                *("", "信关.cn", "a b", "127.0.0.1:8443", "[::1]", "fe80::1%eth0", "10.0.0.256"),
                *("-a.cn", "a-.cn", "a..cn", "a.cn.", "*", "a.*.cn", "a/b", "x" * 64),
                ".".join(["a" * 63] * 4),
            )
        ),
        ("[files]\nlog_key = '/etc/passwd'", "files.log_key"),
        ("[files]\nlog_key = '../outside.key'", "files.log_key"),
        ("[files]\nlog_key = ''", "files.log_key"),
        ("[switches]\nx = 'text'", "switches.x"),
        ("[switches]\nBad = true", "switches"),
        ("[log]\norigin = 'has blanks'", "log.origin"),
    ],
)
def test_a_value_out_of_its_range_names_its_key(text: str, key: str) -> None:
    assert key in refused(text).message


def test_a_server_is_named_by_host_name_or_address() -> None:
    names = ["localhost", "xn--bvs576f.cn", "a-b.example", "gate_1", "*.example", "::1", "10.0.0.1"]
    assert parse_settings(f"[server]\nserver_names = {names}").server.server_names == names


def test_an_internationalised_name_is_told_its_other_form() -> None:
    assert "xn--" in refused("[server]\nserver_names = ['信关.cn']").message


def test_values_are_never_repeated() -> None:
    assert "hunter2" not in refused("[files]\nlog_key = '/hunter2'").message
    assert "hunter2" not in refused("[limits]\ngate_wait_ms = 'hunter2'").message


def test_what_is_not_toml_is_refused_with_its_place() -> None:
    assert "line 2" in refused("node = 'a'\nlisten =\n").message
    assert "not valid TOML" in refused("node = 'a'\nnode = 'b'").message


def test_an_unknown_switch_is_refused_by_its_name() -> None:
    settings = parse_settings("[switches]\nborder_bulks = true")
    with pytest.raises(ConfigError, match="did you mean border_bulk"):
        settings.refuse_unknown_switches({"border_bulk"})
    parse_settings("[switches]\nborder_bulk = true").refuse_unknown_switches({"border_bulk"})


def test_a_missing_or_unreadable_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name in ("missing", "binary"):
        with pytest.raises(ConfigError) as caught:
            read_settings(tmp_path / name)
        assert caught.value.code == "NO_CONFIG"
        assert "xinguan init" in caught.value.hints[0]
