"""The authority for certificates: its key and its certificate belong together and are valid."""

import time

import pytest

from gateway.identity.certificates import DAY_S, CertificateAuthority, make_request
from gateway.identity.keyfiles import new_tls_key, write_private_key
from tests.simulator import uscc

YEARS = 10 * 365


@pytest.fixture
def sign(xinguan, tmp_path):
    """Have a request signed by an authority of which a certificate lies beside a key."""
    made = xinguan.do("party", "add", uscc(1), "--name", "x", "--role", "BANK")
    request = tmp_path / "bank.csr"
    request.write_bytes(make_request(new_tls_key(), "bank"))
    folder = tmp_path / "ca"
    folder.mkdir()

    def command(pem: bytes, key) -> tuple[object, ...]:
        (folder / "ca.pem").write_bytes(pem)
        (folder / "ca.key").unlink(missing_ok=True)
        write_private_key(folder / "ca.key", key)
        words = ("party", "certificate", "sign", uscc(1), request, "--ca", folder)
        return (*words, "--out", tmp_path / "out", "--replacing", made["fingerprint"])

    return command


def statuses(xinguan) -> list[str]:
    return [row["status"] for row in xinguan.do("party", "certificate", "list")]


def test_the_key_of_another_authority_signs_nothing(xinguan, sign, tmp_path) -> None:
    key = new_tls_key()
    pem = CertificateAuthority.create(key, "x", int(time.time())).pem
    assert xinguan.refuse(*sign(pem, new_tls_key())) == "BAD_KEY"
    assert statuses(xinguan) == ["ACTIVE"]
    assert not (tmp_path / "out").exists()
    xinguan.do(*sign(pem, key))
    assert sorted(statuses(xinguan)) == ["ACTIVE", "REVOKED"]


@pytest.mark.parametrize(
    ("begins_days", "hint"),
    [
        (1, "not valid yet"),
        (-YEARS - 1, "it has expired"),
        (-YEARS + 100, "--days of at most 99"),
    ],
)
def test_a_certificate_does_not_outlive_its_authority(xinguan, sign, begins_days, hint) -> None:
    key = new_tls_key()
    # A minute short of so many days: the test itself takes time too.
    begins = int(time.time()) + begins_days * DAY_S - 60
    command = sign(CertificateAuthority.create(key, "x", begins).pem, key)
    assert xinguan.refuse(*command) == "BAD_CERTIFICATE"
    assert statuses(xinguan) == ["ACTIVE"]
    assert hint in xinguan(*command).err
    if "99" in hint:
        xinguan.do(*command, "--days", 99)
