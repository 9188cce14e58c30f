import gzip
import io
import subprocess
import tarfile

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from gateway.decision.bundle import DEFAULT_POLICIES, BuildError, pack
from gateway.decision.signing import SIGNATURES, sign
from tests.policies.engines import opa_binary

pytestmark = pytest.mark.opa


@pytest.fixture
def keys(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = tmp_path / "key.pem", tmp_path / "key.pub"
    private.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


def verified(archive, public):
    """Whether OPA takes the bundle under this key."""
    run = subprocess.run(
        [
            opa_binary(), "build", "--bundle", archive, "--output", archive.with_suffix(".out"),
            "--verification-key", public, "--signing-alg", "ES256",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return run.returncode == 0


def files_of(archive):
    with tarfile.open(archive) as tar:
        return {m.name.lstrip("/"): tar.extractfile(m).read() for m in tar.getmembers()}


def test_opa_accepts_the_signed_bundle_under_its_key_only(tmp_path, keys):
    private, public = keys
    signed = sign(DEFAULT_POLICIES, opa_binary(), private, tmp_path / "signed.tar.gz")
    assert SIGNATURES in files_of(signed)
    assert verified(signed, public)
    other = tmp_path / "other.pub"
    stranger = ec.generate_private_key(ec.SECP256R1()).public_key()
    other.write_bytes(stranger.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert not verified(signed, other)


def test_a_changed_file_breaks_the_signature(tmp_path, keys):
    private, public = keys
    signed = sign(DEFAULT_POLICIES, opa_binary(), private, tmp_path / "signed.tar.gz")
    files = files_of(signed)
    name = next(name for name in files if name.endswith("callers.rego"))
    spoiled = tmp_path / "spoiled.tar.gz"
    spoiled.write_bytes(pack({**files, name: files[name] + b"\n# more\n"}))
    assert not verified(spoiled, public)


def test_a_key_that_is_none_is_refused(tmp_path):
    (tmp_path / "key.pem").write_text("not a key", encoding="utf-8")
    with pytest.raises(BuildError):
        sign(DEFAULT_POLICIES, opa_binary(), tmp_path / "key.pem", tmp_path / "signed.tar.gz")
    assert not (tmp_path / "signed.tar.gz").exists()


def test_packing_is_deterministic():
    files = {"b": b"2", "a": b"1"}
    packed = pack(files)
    assert packed == pack(dict(reversed(files.items())))
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as tar:
        assert tar.getnames() == ["/a", "/b"]
