"""`xinguan init`: what does not fit is refused before anything is made."""

import pytest


@pytest.mark.parametrize("content", [b"", b"rubbish"])
def test_a_file_without_authorities_of_clients_makes_nothing(xinguan, tmp_path, content) -> None:
    junk = tmp_path / "junk.bin"
    junk.write_bytes(content)
    public = xinguan.home / "dev-authority/authority.pub.pem"
    words = ("init", tmp_path / "second", "--authority", public, "--client-ca", junk)
    assert xinguan.refuse(*words) == "BAD_CERTIFICATE"
    assert not (tmp_path / "second").exists()
    assert "junk.bin does not hold" in xinguan(*words).err
    junk.write_bytes((xinguan.home / "dev-authority/ca.pem").read_bytes())
    xinguan.do(*words)
    installed = tmp_path / "second/gateway/identity/client-ca.pem"
    assert installed.read_bytes() == junk.read_bytes()


def test_a_development_deployment_takes_no_foreign_authority(xinguan, tmp_path) -> None:
    words = ("init", tmp_path / "second", "--dev")
    foreign = ("--client-ca", xinguan.home / "dev-authority/ca.pem")
    assert xinguan.refuse(*words, *foreign) == "BAD_CONFIG"
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize("name", ["", "信关.cn", "a b", "127.0.0.1:8443"])
def test_what_no_certificate_can_name_makes_nothing(xinguan, tmp_path, name) -> None:
    words = ("init", tmp_path / "second", "--dev", "--server-name", name)
    assert xinguan.refuse(*words) == "BAD_CONFIG"
    assert not (tmp_path / "second").exists()
    assert "server.server_names.0" in xinguan(*words).err
