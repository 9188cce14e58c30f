"""Keys of an issuer: private, numbered, all of them published."""

import stat

import pytest

from gateway.credential.jws import EDDSA, ES256, from_jwk, thumbprint, to_jwk
from gateway.credential.keyring import Keyring, new_key, read_holder_key
from gateway.domain.errors import UnavailableError
from gateway.identity.keyfiles import KeyFileError, write_new


def test_the_newest_key_signs_and_all_are_published(tmp_path):
    folder = tmp_path / "keys"
    first = new_key(folder)
    second = new_key(folder, EDDSA)
    keyring = Keyring.open(folder)
    assert [one.kid for one in keyring.signers] == [first.kid, second.kid]
    assert keyring.signer.algorithm == EDDSA
    published = keyring.published()
    assert [key["alg"] for key in published] == [ES256, EDDSA]
    assert not any("d" in key for key in published)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert read_holder_key(folder / "0001.pem").kid == first.kid


def test_keys_that_others_could_read_or_of_another_kind_are_refused(tmp_path):
    with pytest.raises(UnavailableError) as caught:
        Keyring.open(tmp_path)
    assert caught.value.code == "NO_CREDENTIAL_KEY"
    new_key(tmp_path)
    (tmp_path / "0001.pem").chmod(0o644)
    with pytest.raises(KeyFileError) as refused:
        Keyring.open(tmp_path)
    assert refused.value.code == "BAD_FILE_MODE"
    write_new(tmp_path / "0002.pem", b"none", 0o600)
    with pytest.raises(KeyFileError) as refused:
        read_holder_key(tmp_path / "0002.pem")
    assert refused.value.code == "BAD_KEY"


def test_a_thumbprint_is_rfc_7638s():
    # RFC 8037, appendix A.3: the thumbprint of its Ed25519 key.
    jwk = {"crv": "Ed25519", "kty": "OKP", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    assert thumbprint(jwk) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert to_jwk(from_jwk(jwk)) == jwk
