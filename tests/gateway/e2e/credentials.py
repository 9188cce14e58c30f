"""A site that issues credentials, a partner of its own, and what tests do with both."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gateway.credential.verify import Checks, Trust, Verified, verify
from gateway.demo.cast import AUTHORITY, SECURITY
from gateway.demo.stage import Stage
from gateway.domain.vocabulary import LicenceKind, Role
from gateway.ingest.loading import load_product
from gateway.registry import parties, whitelists
from gateway.registry.catalogue import Catalogue
from gateway.registry.licences import GrantClaims
from gateway.serving.standing import prepare_snapshot, sealed_keys
from gateway.snapshot.library import SnapshotLibrary
from tests.gateway.e2e.conftest import serve_site
from tests.gateway.e2e.serving import CASE, OPERATOR, Member, Site, copy_stage, fingerprint
from xinguan.v1 import credential_pb2, credential_pb2_grpc

ISSUER = "https://credentials.example.org"
COMPANY = ("uscc", "name", "reg_status", "registered_capital", "established_on")
GRADE = ("uscc", "grade", "model_id", "model_version", "as_of", "valid_to")
WORDS = {
    "purpose": "TRADE", "scenario": "MUTUAL_RECOGNITION", "destination": "SG",
    "operator": OPERATOR, "case_reference": CASE,
}  # fmt: skip
_numbers = itertools.count(1)


@asynccontextmanager
async def issuing_site(stage: Stage, root: Path, **words: Any) -> AsyncIterator[Site]:
    """Serve a copy of a deployment that issues credentials; `words` are settings of them."""
    async with serve_site(with_issuer(copy_stage(stage, root), **words)) as site:
        yield site


def with_issuer(stage: Stage, **words: Any) -> Stage:
    settings = stage.deployment.settings
    told = settings.credentials.model_copy(update={"issuer": ISSUER} | words)
    settings = settings.model_copy(update={"credentials": told})
    return replace(stage, deployment=replace(stage.deployment, settings=settings))


def enrol_partner(site: Site) -> Member:
    """Register a partner abroad with whitelists for companies and grades."""
    desk = site.desk
    party_id = desk.register(Role.CROSS_BORDER_PARTNER, party_id=f"reg:SG:2019{next(_numbers):05}K")
    identity = desk.issue(party_id)
    grants = {
        "legal_entity_base": GrantClaims(fields=(*COMPANY, "dispute_flag")),
        "public_credit_grade": GrantClaims(fields=GRADE),
        "admin_penalty": GrantClaims(fields=("uscc", "decision_no")),
    }
    licence = desk.license(
        party_id,
        LicenceKind.RECOGNITION_AGREEMENT,
        grants=grants,
        purposes=("TRADE",),
        scenarios=("MUTUAL_RECOGNITION",),
        destinations=("SG",),
    )
    for product, grant in grants.items():
        content = whitelists.content(
            partner=party_id,
            product=product,
            version=1,
            fields=grant.fields,
            mechanism="",
            not_before=desk.act.now,
        )
        desk.run(whitelists.propose, content)
        for player in (SECURITY, AUTHORITY):
            party = desk.state.run(lambda tx, player=player: parties.find(tx, player.party_id))
            desk.run(whitelists.approve, content, party)
    site.copy_abroad()
    return Member(party_id, identity, fingerprint(identity), licence)


async def issue(
    site: Site,
    who: Any,
    subject: str,
    product: str = "legal_entity_base",
    fields: Sequence[str] = COMPANY,
    **words: Any,
) -> credential_pb2.IssuedCredential:
    """Have a credential issued over the wire."""
    stub = credential_pb2_grpc.CredentialServiceStub(site.channel(who))
    query = site.build(who, product, fields, subjects=[subject], **(WORDS | words.pop("query", {})))
    if "credential_id" in words:
        call = stub.Refresh(credential_pb2.RefreshRequest(query=query, **words), timeout=60)
    else:
        call = stub.Issue(credential_pb2.IssueRequest(query=query, **words), timeout=60)
    (answer,) = [message async for message in call]
    return answer.credential


def published(site: Site) -> Path:
    return site.deployment.directory / "credentials"


def trust(site: Site) -> Trust:
    return Trust.of((published(site) / ".well-known/jwt-vc-issuer").read_bytes())


def list_text(site: Site, credential: credential_pb2.IssuedCredential) -> str:
    name = credential.status_list_uri.removeprefix(f"{ISSUER}/")
    return (published(site) / name).read_text()


def check(site: Site, credential: credential_pb2.IssuedCredential, **words: Any) -> Verified:
    """Verify as a partner does: offline, with the published files."""
    checks = Checks(at=int(time.time()), status_list=list_text(site, credential), **words)
    return verify(credential.sd_jwt, trust(site), checks)


async def until(condition: Any, *, within_s: float = 60.0) -> None:
    """Wait until a condition holds; how long it takes is measured in bench/credential.py."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s, "it never came true"
        await asyncio.sleep(0.01)


def library_of(site: Site) -> SnapshotLibrary:
    """Open the snapshots as a command of another process does."""
    state = site.desk.state
    return SnapshotLibrary(
        site.deployment.snapshots_directory,
        lambda name: sealed_keys(state, name),
        prepare=lambda snapshot: prepare_snapshot(state, snapshot),
    )


def regrade(site: Site, subject: str, grade: str, folder: Path) -> None:
    """Admit new grades, in which one company has another and everybody else the same."""
    table = pq.read_table(site.population.files["public_credit_grade"].path)
    codes, stamps = (table.column(name).to_pylist() for name in ("uscc", "source_updated_at"))
    now = datetime.fromtimestamp(int(time.time()) + 1, UTC)
    changed = {
        "grade": [
            grade if code == subject else old
            for code, old in zip(codes, table.column("grade").to_pylist(), strict=True)
        ],
        "source_updated_at": [
            now if code == subject else stamp for code, stamp in zip(codes, stamps, strict=True)
        ],
    }
    for name, values in changed.items():
        at = table.schema.get_field_index(name)
        field = table.schema.field(at)
        table = table.set_column(at, field, pa.array(values, field.type))
    path = folder / f"grades-{next(_numbers)}.parquet"
    pq.write_table(table, path)
    product = Catalogue.load().product("public_credit_grade")
    load_product(site.desk.state, library_of(site), product, path, site.desk.act)
