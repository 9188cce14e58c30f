import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from audit.note import Ed25519Signer
from gateway.config import ConfigError, Profile
from gateway.decision.law import LawTable
from gateway.deployment import Deployment
from gateway.domain.errors import Reason, XinguanError
from gateway.founding import Founding, found
from gateway.identity.certificates import read_request
from gateway.identity.keyfiles import (
    KeyFileError,
    new_document_key,
    new_tls_key,
    public_pem,
    read_document_key,
)
from gateway.registry.documents import key_id
from gateway.server import Gateway
from tests.simulator import NOW

OPERATOR = "uscc:91460099090001001H"
WANTED = Founding(
    dev=True,
    authority_pem=b"",
    client_ca_pem=b"",
    node="node-1",
    origin="xinguan.example/log",
    operator="",
    listen="127.0.0.1:0",
    server_names=("localhost", "127.0.0.1"),
)


@pytest.fixture
def dev(tmp_path: Path) -> Deployment:
    return found(tmp_path / "d", WANTED, NOW)


def entries(deployment: Deployment) -> list[str]:
    state = deployment.open_state()
    reader = state.connect()
    rows = reader.execute("SELECT body FROM audit_entry ORDER BY position").fetchall()
    reader.close()
    state.close()
    return [row[0].decode() for row in rows]


def test_a_development_deployment_is_ready_to_serve(dev: Deployment) -> None:
    tls = dev.tls()
    authority = x509.load_pem_x509_certificate(tls.client_ca)
    x509.load_pem_x509_certificate(tls.certificate).verify_directly_issued_by(authority)
    secrets = dev.secrets()
    assert Ed25519Signer(dev.settings.log.origin, secrets.log_key).verifier_key == dev.log_vkey
    trusted = dev.authority_keys()
    signing = read_document_key(dev.dev_authority / "authority.key").public_key()
    assert set(trusted) == {key_id(signing)}


def test_the_authorities_keys_lie_beside_the_gateway_never_inside(dev: Deployment) -> None:
    outside = {path.name for path in dev.dev_authority.iterdir()}
    assert {"ca.key", "authority.key"} <= outside
    inside = {path.name for path in dev.directory.rglob("*")}
    assert not {"ca.key", "authority.key"} & inside
    for path in dev.directory.rglob("*.key"):
        for foreign in dev.dev_authority.glob("*.key"):
            assert path.read_bytes() != foreign.read_bytes()


def test_every_private_file_is_its_owners_alone(dev: Deployment) -> None:
    keys = list(dev.root.rglob("*.key"))
    assert len(keys) == 10
    for path in (*keys, dev.state_path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
    for folder in (dev.directory, dev.directory / "keys", dev.dev_authority):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_all_keys_differ_and_none_is_shown(dev: Deployment) -> None:
    secrets = dev.secrets()
    symmetric = [
        secrets.opening_key,
        secrets.index_key,
        secrets.pseudonym_key,
        secrets.ticket_key,
        secrets.consent_key,
        secrets.export_key,
    ]
    assert len(set(symmetric)) == 6
    for shown in (repr(secrets), repr(secrets.consents), repr(dev.tls())):
        assert all(repr(key)[2:-1] not in shown for key in symmetric)
        assert "PRIVATE KEY" not in shown


def test_the_settings_hold_no_secret(dev: Deployment) -> None:
    text = (dev.directory / "xinguan.toml").read_text()
    for path in dev.directory.rglob("*.key"):
        assert path.read_bytes().hex() not in text
    assert dev.settings.profile == "dev"


def test_the_log_opens_with_what_it_is_and_whom_it_trusts(dev: Deployment) -> None:
    first, second = entries(dev)
    assert '"kind":"log_opened"' in first
    assert dev.log_vkey in first
    assert '"kind":"key_changed"' in second
    assert next(iter(dev.authority_keys())) in second


def test_a_production_deployment_holds_public_halves_only(tmp_path: Path) -> None:
    key = new_document_key()
    wanted = replace(WANTED, dev=False, authority_pem=public_pem(key.public_key()))
    made = found(tmp_path / "d", wanted, NOW)
    assert made.settings.profile == "standard"
    assert not made.dev_authority.exists()
    assert set(made.authority_keys()) == {key_id(key.public_key())}
    assert read_request((made.directory / "identity/server.csr").read_bytes())
    with pytest.raises(ConfigError) as caught:
        made.tls()
    assert caught.value.code == "NO_KEY"


def standard(deployment: Deployment, operator: str = OPERATOR) -> Deployment:
    """The same directories under the settings of production."""
    settings = deployment.settings.model_copy(
        update={"profile": Profile.STANDARD, "operator": operator}
    )
    return replace(deployment, settings=settings)


async def refused_to_start(deployment: Deployment) -> str:
    with pytest.raises(ConfigError) as caught:
        async with Gateway(deployment, listen="127.0.0.1:0"):
            pytest.fail("it serves")
    return caught.value.code


@pytest.mark.asyncio
async def test_a_standard_gateway_does_not_start_beside_a_development_authority(
    dev: Deployment, tmp_path: Path
) -> None:
    made = standard(dev)
    before = entries(dev)
    assert await refused_to_start(made) == "DEV_AUTHORITY"
    shutil.move(made.dev_authority, tmp_path / "elsewhere")
    made.dev_authority.symlink_to(tmp_path / "nowhere")
    assert await refused_to_start(made) == "DEV_AUTHORITY"
    assert entries(dev) == before
    made.dev_authority.unlink()
    async with Gateway(made, listen="127.0.0.1:0") as gateway:
        assert gateway.address


@pytest.mark.asyncio
@pytest.mark.parametrize("operator", ["", "  "])
async def test_a_standard_gateway_does_not_start_without_an_operator(
    dev: Deployment, tmp_path: Path, operator: str
) -> None:
    shutil.move(dev.dev_authority, tmp_path / "elsewhere")
    assert await refused_to_start(standard(dev, operator)) == "NO_OPERATOR"


@pytest.mark.asyncio
async def test_a_development_gateway_starts_with_neither(dev: Deployment) -> None:
    assert dev.dev_authority.exists()
    assert dev.settings.operator == ""
    async with Gateway(dev, listen="127.0.0.1:0") as gateway:
        assert gateway.address


@pytest.mark.parametrize("code", ["DEV_AUTHORITY", "NO_OPERATOR"])
def test_what_stops_a_start_has_its_texts(code: str) -> None:
    text = LawTable.load().text(Reason("GATE", code))
    assert "apart" in text.clause_en
    assert all((text.clause_zh, text.remedy_en, text.remedy_zh))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"dev": False}, "NO_AUTHORITY"),
        ({"authority_pem": public_pem(new_document_key().public_key())}, "NO_AUTHORITY"),
        ({"dev": False, "authority_pem": b"rubbish"}, "BAD_KEY"),
        (
            {"dev": False, "authority_pem": public_pem(new_tls_key().public_key())},
            "BAD_KEY",
        ),
        ({"node": "Bad Node"}, "BAD_CONFIG"),
        ({"listen": "nowhere"}, "BAD_CONFIG"),
        ({"origin": 'x"\n[limits]'}, "BAD_CONFIG"),
        ({"server_names": ("",)}, "BAD_CONFIG"),
        ({"server_names": ("localhost", "信关.cn")}, "BAD_CONFIG"),
        ({"server_names": ("a b",)}, "BAD_CONFIG"),
        ({"server_names": ("127.0.0.1:8443",)}, "BAD_CONFIG"),
        ({"client_ca_pem": b"whatever"}, "BAD_CONFIG"),
        (
            {
                "dev": False,
                "authority_pem": public_pem(new_document_key().public_key()),
                "client_ca_pem": b"rubbish",
            },
            "BAD_CERTIFICATE",
        ),
    ],
)
def test_what_does_not_fit_makes_nothing(tmp_path: Path, words, code) -> None:
    with pytest.raises(XinguanError) as caught:
        found(tmp_path / "d", replace(WANTED, **words), NOW)
    assert caught.value.code == code
    assert not (tmp_path / "d").exists()


def test_a_directory_that_holds_something_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    for place in (tmp_path, tmp_path / "precious"):
        with pytest.raises(ConfigError) as caught:
            found(place, WANTED, NOW)
        assert caught.value.code == "NOT_EMPTY"
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_it_opens_by_its_root_or_by_the_gateways_own_directory(dev: Deployment) -> None:
    assert Deployment.open(dev.root) == dev
    assert Deployment.open(dev.directory) == dev
    with pytest.raises(ConfigError) as caught:
        Deployment.open(dev.root / "elsewhere")
    assert caught.value.code == "NO_CONFIG"


def test_a_key_with_a_wrong_mode_is_refused_at_the_start(dev: Deployment) -> None:
    (dev.directory / "keys/ticket.key").chmod(0o644)
    with pytest.raises(KeyFileError) as caught:
        dev.secrets()
    assert caught.value.code == "BAD_FILE_MODE"
    assert "ticket.key" in caught.value.message
    (dev.directory / "identity/server.key").chmod(0o640)
    with pytest.raises(KeyFileError):
        dev.tls()


def another_key(deployment: Deployment) -> bytes:
    return (deployment.dev_authority / "ca.key").read_bytes()


def no_key(deployment: Deployment) -> bytes:
    return b"rubbish"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("server.key", another_key, "BAD_KEY"),
        ("server.key", no_key, "BAD_KEY"),
        ("server.pem", no_key, "BAD_CERTIFICATE"),
        ("client-ca.pem", no_key, "BAD_CERTIFICATE"),
        ("client-ca.pem", another_key, "BAD_CERTIFICATE"),
    ],
)
async def test_wrong_files_of_tls_are_named_and_no_port_in_use(
    dev: Deployment, name, content, code
) -> None:
    (dev.directory / "identity" / name).write_bytes(content(dev))
    with pytest.raises(XinguanError) as caught:
        async with Gateway(dev, listen="127.0.0.1:0"):
            pytest.fail("it serves")
    assert caught.value.code == code
    assert name in caught.value.message
    assert "identity/" not in caught.value.message
    assert "rubbish" not in caught.value.message


def test_the_servers_certificate_may_have_its_chain_behind_it(dev: Deployment) -> None:
    chain = dev.directory / "identity/server.pem"
    own, authority = chain.read_bytes(), (dev.dev_authority / "ca.pem").read_bytes()
    chain.write_bytes(own + authority)
    assert dev.tls().certificate == own + authority
    chain.write_bytes(authority + own)  # a TLS library takes the first one for the server's
    with pytest.raises(KeyFileError):
        dev.tls()


def test_an_authority_file_that_is_no_key_is_named(dev: Deployment) -> None:
    (dev.directory / "identity/authority/other.pem").write_text("rubbish")
    with pytest.raises(ConfigError, match=r"other\.pem") as caught:
        dev.authority_keys()
    assert caught.value.code == "BAD_KEY"
