"""The README does what it says: its programs run, its commands and its links exist."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from google.protobuf import json_format
from joserfc import jws
from joserfc.jwk import OKPKey
from typer.main import get_command

from gateway.cli.main import app
from gateway.config import Limits
from gateway.demo.cast import AGENCY, BANK
from gateway.demo.stage import licence_claims
from gateway.deployment import Deployment
from gateway.identity.keyfiles import new_document_key, private_pem, public_pem
from gateway.server import Gateway
from tests.conftest import ROOT
from tests.docs.markdown import Block, blocks, prose
from tests.docs.running import Served, run_python
from xinguan.client import Client, Identity, RefusedError
from xinguan.v1 import exchange_pb2

ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
PAGES = (
    ENGLISH,
    CHINESE,
    ROOT / "SECURITY.md",
    ROOT / "docs" / "first-hour.md",
    *sorted((ROOT / "docs" / "adr").glob("*.md")),
)
COMPANY = "91460099MA1KB25D0C"
SECOND = "uscc:91460099900100001G"
_LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
_COMMAND = re.compile(r"\bxinguan((?: +[a-z][a-z-]+)+)((?: +--?[a-z-]+)*)")
_TARGET = re.compile(r"\bmake ([a-z]+)")


def code(page: Path, language: str) -> list[str]:
    return [block.text for block in blocks(page) if block.language == language]


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    ("number", "player", "expected"),
    [(0, AGENCY, "bytes of proof"), (1, AGENCY, "legal_entity_base"), (2, BANK, "reg_status")],
)
async def test_python_blocks_run(
    served: Served, tmp_path: Path, number: int, player: Any, expected: str
) -> None:
    text = code(ENGLISH, "python")[number]
    text = text.replace("localhost:8443", served.address).replace(COMPANY, served.company)
    served.hand_over(player, tmp_path)
    (tmp_path / "block.py").write_text(text)
    ran = await run_python("block.py", cwd=tmp_path)
    assert ran.code == 0, ran.text
    assert expected in ran.text


def test_every_python_block_is_run_above() -> None:
    assert len(code(ENGLISH, "python")) == 3


def test_the_question_of_grpcurl_is_one() -> None:
    (text,) = code(ENGLISH, "console")
    body = text[text.index("<<END\n") + 6 : text.rindex("END")]
    body = body.replace("$(date -u +%Y-%m-%dT%H:%M:%SZ)", "2026-11-24T00:00:00Z")
    query = json_format.Parse(body, exchange_pb2.QueryRequest())
    service, method = re.search(r"(xinguan\.v1\.\w+)/(\w+)", text).groups()
    methods = exchange_pb2.DESCRIPTOR.services_by_name[service.rpartition(".")[2]].methods_by_name
    assert methods[method].input_type.full_name == query.DESCRIPTOR.full_name


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.skipif(
    shutil.which("grpcurl") is None and not os.environ.get("CI"),
    reason="no grpcurl on this machine; `make grpcurl` fetches it",
)
async def test_grpcurl_gets_an_answer(served: Served, tmp_path: Path) -> None:
    (text,) = code(ENGLISH, "console")
    served.hand_over(AGENCY, tmp_path)
    text = text.replace("localhost:8443", served.address).replace(COMPANY, served.company)
    (tmp_path / "block.sh").write_text(f"set -eu\n{text}")
    runner = "import subprocess, sys; sys.exit(subprocess.call(['bash', 'block.sh']))"
    ran = await run_python("-c", runner, cwd=tmp_path)
    assert ran.code == 0, ran.text
    assert "xinguan.v1.ExchangeService" in ran.text
    assert served.company in ran.text


@dataclass(frozen=True, slots=True)
class Offices:
    """What other people bring to the deployment: the authorities and an organisation."""

    folder: Path
    log_of_commands: str


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Offices:
    """The blocks of `Deploy`, with the files that other people bring."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on this machine")
    folder = tmp_path_factory.mktemp("deploy")
    authority = new_document_key()
    (folder / "authority.pub.pem").write_bytes(public_pem(authority.public_key()))
    (folder / "agency-licence.jws").write_text(licence_document(authority))
    script = "\n".join(
        [
            "set -eu",
            "openssl ecparam -name prime256v1 -genkey -noout -out ca.key",
            "openssl req -x509 -key ca.key -out ca.pem -days 30 -subj /CN=Authority",
            "cp ca.pem client-ca.pem",
            "openssl ecparam -name prime256v1 -genkey -noout -out agency.key",
            "openssl req -new -key agency.key -subj /CN=agency -out agency.csr",
            "xinguan synth --out . --companies 20 --product legal_entity_base",
            "mv legal_entity_base.parquet records.parquet",
            *(text.replace("gateway.example.cn", "localhost") for text in code(ENGLISH, "sh")),
        ]
    )
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "proto")]),
    }
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return Offices(folder, done.stdout)


def licence_document(authority: Any) -> str:
    """Sign a licence as the README describes it, without the gateway's own code."""
    key = OKPKey.import_key(private_pem(authority))
    now = 1_700_000_000
    claims = licence_claims(AGENCY, now).model_dump(mode="json", exclude_none=True)
    claims |= {"party_id": SECOND, "not_after": 4_000_000_000}
    claims["agreement"]["not_after"] = 4_000_000_000
    header = {"alg": "Ed25519", "kid": key.thumbprint(), "typ": "xinguan-licence+jwt"}
    return jws.serialize_compact(header, json.dumps(claims), key, algorithms=["Ed25519"])


@pytest.mark.asyncio(loop_scope="session")
async def test_a_deployment_without_any_private_key_of_an_authority_serves(
    deployed: Offices,
) -> None:
    folder = deployed.folder
    deployment = Deployment.open(folder / "site")
    assert not deployment.dev_authority.exists()
    identity = Identity.load(folder / "agency.pem", folder / "agency.key", folder / "ca.pem")
    async with Gateway(deployment, listen="127.0.0.1:0") as gateway:
        target = gateway.address.replace("127.0.0.1", "localhost")
        async with Client(target, identity) as client:
            products = {product.name: product.available for product in await client.products()}
            assert products["legal_entity_base"]
            with pytest.raises(RefusedError, match="OUT_OF_SCOPE"):
                await client.query(
                    "legal_entity_base",
                    ["uscc"],
                    subjects=[COMPANY],
                    purpose="MARKETING",
                    scenario="ENTERPRISE_REPORT",
                    operator="u-1",
                    case_reference="case-1",
                )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    targets = [link for link in _LINK.findall(prose(page)) if "://" not in link]
    missing = [link for link in targets if not (page.parent / link).exists()]
    assert missing == []


def test_every_test_that_security_names_exists() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_0-9/]+\.py)`", text))
    assert len(named) > 30
    assert [name for name in sorted(named) if not (ROOT / "tests" / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_named_exists(page: Path) -> None:
    root = get_command(app)
    for words, options in _COMMAND.findall(page.read_text(encoding="utf-8")):
        command: Any = root
        for word in words.split():
            if not hasattr(command, "commands") and not isinstance(command, typer.core.TyperGroup):
                break  # an argument, or the prose goes on
            context = typer.Context(command)
            found = command.get_command(context, word)
            assert found is not None, f"xinguan{words}"
            command = found
        known = {name for param in command.params for name in param.opts}
        assert set(options.split()) <= known | {"--help"}, f"xinguan{words}{options}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_target_of_make_named_exists(page: Path) -> None:
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8"))
    for block in blocks(page):
        if block.language == "bash":
            named += _TARGET.findall(block.text)
    assert set(named) <= known


def test_what_a_newcomer_needs_is_there() -> None:
    for page in (ENGLISH, CHINESE):
        text = page.read_text(encoding="utf-8")
        for needed in (
            "make demo",
            "make test",
            "make demo DATA=../shared/data/hainan_enterprises.csv",
            "make bench",
            "`Query`",
        ):
            assert needed in text, f"{page.name}: {needed}"


def test_both_languages_say_the_same_things() -> None:
    def headings(page: Path) -> list[str]:
        return [found[0] for found in re.findall(r"^(#+) (.+)$", prose(page), re.MULTILINE)]

    def commands(page: Path) -> list[Block]:
        return [block for block in blocks(page) if block.language != "mermaid"]

    def rows(page: Path) -> int:
        return len(re.findall(r"^\|", prose(page), re.MULTILINE))

    def links(page: Path) -> set[str]:
        between = {ENGLISH.name, CHINESE.name, "docs/rules.md", "docs/golden-decisions.md"}
        translated = {"docs/rules.zh-CN.md", "docs/golden-decisions.zh-CN.md"}
        return set(_LINK.findall(prose(page))) - between - translated

    assert headings(ENGLISH) == headings(CHINESE)
    assert commands(ENGLISH) == commands(CHINESE)
    assert rows(ENGLISH) == rows(CHINESE)
    assert links(ENGLISH) == links(CHINESE)


def test_the_nine_steps_are_the_pipeline_s() -> None:
    source = (ROOT / "gateway" / "release" / "pipeline.py").read_text()
    steps = re.findall(r"^    (\(\d\) \w+) ", source.split('"""')[1], re.MULTILINE)
    assert len(steps) == 9
    (diagram,) = code(ENGLISH, "mermaid")
    assert re.findall(r'"(\(\d\) \w+)', diagram) == steps
    (chinese,) = code(CHINESE, "mermaid")
    assert re.findall(r"\((\d)\)", chinese) == list("123456789")


@pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=lambda page: page.name)
def test_every_limit_is_in_the_table_with_its_default(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name, field in Limits.model_fields.items():
        in_table = f"| `limits.{name}` | {field.default} |"
        in_list = f"`limits.{name}` ("
        in_chinese = f"`limits.{name}`（"
        assert in_table in text or in_list in text or in_chinese in text, name


def test_every_example_is_run() -> None:
    tested = (Path(__file__).parent / "test_examples.py").read_text()
    # This one is run, mode by mode, with the page that walks through them.
    page = (ROOT / "docs" / "cross-border-recognition.md").read_text()
    tested += '"partner_recognition.py"' if "examples/partner_recognition.py" in page else ""
    for script in (ROOT / "examples").glob("*.py"):
        assert f'"{script.name}"' in tested
