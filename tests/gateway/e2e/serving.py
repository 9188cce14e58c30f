"""A deployment that serves, for end-to-end tests, and the desk of its operator.

The desk is a second handle on the same state, as the command line of another process is: what
it changes, the serving gateway has to notice by itself.
"""

import itertools
import json
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.x509 import load_pem_x509_certificate

from audit.sequence import read_bodies
from gateway.config import Limits
from gateway.demo.cast import AUTHORITY as AUTHORITY_PLAYER
from gateway.demo.cast import COMPANY_FIELDS, PENALTY_FIELDS, Player
from gateway.demo.stage import Stage, load_identity
from gateway.deployment import Deployment
from gateway.domain.vocabulary import LicenceKind, Role, SubjectKind
from gateway.founding import AUTHORITY_KEY, CA_CERTIFICATE, CA_KEY
from gateway.identity.certificates import CertificateAuthority, pin
from gateway.identity.keyfiles import (
    new_document_key,
    new_tls_key,
    private_pem,
    read_document_key,
    read_tls_key,
)
from gateway.ingest.synth import SynthReport
from gateway.registry import certificates, document_keys, licences, parties
from gateway.registry.act import Act
from gateway.registry.consents import ConsentClaims
from gateway.registry.documents import CONSENT_TYPE, LICENCE_TYPE, sign
from gateway.registry.licences import AgreementClaims, GrantClaims, LicenceClaims
from gateway.release.world import World
from gateway.repair.decision import REPAIR_TYPE, Origin, RepairClaims, Verdict
from gateway.server import Gateway
from tests.publicity import check_publicity
from tests.simulator import uscc
from xinguan.client import Client, Identity
from xinguan.v1 import (
    admin_pb2_grpc,
    audit_pb2_grpc,
    exchange_pb2,
    exchange_pb2_grpc,
    repair_pb2_grpc,
)

DAY_S = 86_400
COMPANY = tuple(COMPANY_FIELDS)
PENALTY = tuple(name for name in PENALTY_FIELDS if name != "record_id")
OPERATOR = "operator-who-must-not-be-logged"
CASE = "case-that-must-not-be-logged"
_numbers = itertools.count(700_000)


@dataclass(frozen=True, slots=True)
class Member:
    """A registered organisation with its certificate and perhaps a licence."""

    party_id: str
    identity: Identity
    fingerprint: str
    licence_id: str


class Desk:
    """Registers and changes what a test needs, in the state of a deployment that may serve."""

    def __init__(self, deployment: Deployment, now: Callable[[], int]) -> None:
        self.deployment = deployment
        self.state = deployment.open_state()
        self._now = now
        dev = deployment.dev_authority
        self._ca_pem = (dev / CA_CERTIFICATE).read_bytes()
        self._authority = CertificateAuthority(
            read_tls_key(dev / CA_KEY), load_pem_x509_certificate(self._ca_pem)
        )
        self.signing_key = read_document_key(dev / AUTHORITY_KEY)
        self._sequence = itertools.count(1)

    def check_publicity(self) -> None:
        """Record that what is reconciled at all was reconciled just now, unless it was lately."""
        check_publicity(self.state, self.act)

    @property
    def act(self) -> Act:
        return Act(self._now(), self.deployment.settings.node)

    def close(self) -> None:
        self.state.close()

    def run(self, change: Callable[..., Any], *words: Any) -> Any:
        """Do one registry act: `change(tx, *words, act)`."""
        return self.state.run(lambda tx: change(tx, *words, self.act))

    def register(self, role: Role, **words: Any) -> str:
        """Register an organisation of a role and return its party id."""
        party_id = words.pop("party_id", "") or f"uscc:{uscc(next(_numbers))}"
        wanted = parties.registration(party_id, "示例端到端机构", role, **words)
        self.run(parties.register, wanted)
        return party_id

    def issue(self, party_id: str, *, pinned: bool = True, days: int = 90) -> Identity:
        """Issue a certificate for a party, good by the wall clock and by the gateway's."""
        key = new_tls_key()
        now = self._now()
        begins = min(now, int(time.time()))  # TLS asks the wall clock, whatever a test moves
        days += (now - begins) // DAY_S
        pem = self._authority.issue_party(party_id, key.public_key(), begins, days)
        if pinned:
            self.run(certificates.pin, pem)
        return Identity(pem, private_pem(key), self._ca_pem, party_id)

    def enrol(
        self,
        role: Role = Role.AGENCY,
        kind: LicenceKind | None = LicenceKind.ENTERPRISE_CREDIT_FILING,
        **claims: Any,
    ) -> Member:
        """Register an organisation, pin its certificate and license it unless `kind` is None."""
        party_id = self.register(role)
        identity = self.issue(party_id)
        licence_id = "" if kind is None else self.license(party_id, kind, **claims)
        return Member(party_id, identity, fingerprint(identity), licence_id)

    def license(self, party_id: str, kind: LicenceKind, **claims: Any) -> str:
        """Sign a licence and put it into force; returns its id."""
        document = sign(
            self.licence_claims(party_id, kind, **claims), self.signing_key, LICENCE_TYPE
        )
        return self.activate(document)

    def activate(self, document: str) -> str:
        """Put a signed licence into force, verified as the command line does."""
        keys = self.deployment.authority_keys().get
        activated = self.state.run(
            lambda tx: licences.activate(tx, document, self.act, authority_key=keys)
        )
        return activated.licence_id

    def licence_claims(self, party_id: str, kind: LicenceKind, **claims: Any) -> LicenceClaims:
        """Return the claims of an ordinary licence, any of them replaced."""
        now = self._now()
        grants = claims.pop("grants", None) or {
            "legal_entity_base": GrantClaims(fields=COMPANY),
            "admin_penalty": GrantClaims(fields=tuple(PENALTY_FIELDS)),
        }
        values: dict[str, Any] = {
            "v": 1,
            "licence_id": f"E2E-{next(_numbers)}",
            "serial": 1,
            "party_id": party_id,
            "kind": kind,
            "agreement": AgreementClaims(
                agreement_id="AGREEMENT-E2E", not_before=now - DAY_S, not_after=now + 365 * DAY_S
            ),
            "grants": grants,
            "purposes": ("CREDIT_REPORT",),
            "scenarios": ("ENTERPRISE_REPORT",),
            "destinations": ("CN",),
            "subject_kinds": (SubjectKind.LEGAL_ENTITY,),
            "not_before": now - DAY_S,
            "not_after": now + 300 * DAY_S,
        }
        return LicenceClaims(**(values | claims))

    def consent(self, issuer: str, recipient: str, subjects: Sequence[str], **claims: Any) -> str:
        """Return a consent document signed by a fresh, registered key of the issuer."""
        key = new_document_key()
        self.run(document_keys.register, issuer, key.public_key())
        now = self._now()
        values: dict[str, Any] = {
            "v": 1,
            "consent_id": f"consent-{next(_numbers)}",
            "subjects": tuple(subjects),
            "grantor": "示例授权人",
            "processor": "示例平台",
            "recipient": recipient,
            "recipient_name": "示例接收方",
            "recipient_contact": "示例联系方式",
            "purpose_codes": ("CREDIT_REPORT",),
            "data_kinds": ("contract_performance",),
            "mode": "WRITTEN",
            "given_at": now - 60,
            "expires_at": now + DAY_S,
            "evidence_hash": "0" * 64,
            "text_version": "v1",
        }
        return sign(ConsentClaims(**(values | claims)), key, CONSENT_TYPE)

    def repair(self, product: str, record_id: str, **claims: Any) -> str:
        """Return a signed repair decision of the authority."""
        values: dict[str, Any] = {
            "repair_id": f"repair-{next(_numbers)}",
            "origin": Origin.AUTHORITY,
            "sequence": time.time_ns() // 1_000 + next(self._sequence),
            "product": product,
            "record_id": record_id,
            "verdict": Verdict.APPROVED,
            "deciding_unit": "11460099000000043A",
            "decided_at": self._now(),
        }
        return sign(RepairClaims(**(values | claims)), self.signing_key, REPAIR_TYPE)


class OpenGateway(Gateway):
    """A gateway whose inside a test may look at and tamper with, before its port opens."""

    def __init__(
        self,
        deployment: Deployment,
        *,
        tamper: Callable[[World], None] | None = None,
        engine: Callable[[Any], Any] = lambda real: real,
        **words: Any,
    ) -> None:
        super().__init__(deployment, **words)
        self._tamper = tamper
        self._wrap_engine = engine
        self.world: World

    def _engine(self, bundle: Any) -> Any:
        return self._wrap_engine(super()._engine(bundle))

    def _world(self, *parts: Any) -> World:
        self.world = super()._world(*parts)
        if self._tamper is not None:
            self._tamper(self.world)
        return self.world


class Site:
    """One serving deployment: its gateway, its desk, and channels of its callers."""

    def __init__(self, gateway: OpenGateway, stage: Stage, desk: Desk) -> None:
        self.gateway = gateway
        self.stage = stage
        self.deployment = desk.deployment
        self.desk = desk
        self.population: SynthReport = stage.population
        self._channels: dict[bytes, grpc.aio.Channel] = {}
        self._reader = self.desk.state.connect()

    @property
    def world(self) -> World:
        return self.gateway.world

    def identity(self, player: Player) -> Identity:
        """Return the certificate and key of one of the cast."""
        return load_identity(self.deployment, player)

    @property
    def authority(self) -> Identity:
        return self.identity(AUTHORITY_PLAYER)

    def client(self, who: Member | Player | Identity, **words: Any) -> Client:
        """Return a client of the party; its maker closes it."""
        return Client(self.gateway.address, self._identity(who), **words)

    def channel(self, who: Member | Player | Identity) -> grpc.aio.Channel:
        """Return a channel over mutual TLS, kept until the site closes."""
        identity = self._identity(who)
        if identity.certificate not in self._channels:
            self._channels[identity.certificate] = grpc.aio.secure_channel(
                self.gateway.address, identity.credentials()
            )
        return self._channels[identity.certificate]

    def exchange(self, who: Member | Player | Identity) -> exchange_pb2_grpc.ExchangeServiceStub:
        return exchange_pb2_grpc.ExchangeServiceStub(self.channel(who))

    def audit(self, who: Member | Player | Identity) -> audit_pb2_grpc.AuditServiceStub:
        return audit_pb2_grpc.AuditServiceStub(self.channel(who))

    def admin(self, who: Member | Player | Identity) -> admin_pb2_grpc.AdminServiceStub:
        return admin_pb2_grpc.AdminServiceStub(self.channel(who))

    def repairs(self, who: Member | Player | Identity) -> repair_pb2_grpc.RepairServiceStub:
        return repair_pb2_grpc.RepairServiceStub(self.channel(who))

    def build(
        self,
        who: Member | Player | Identity,
        product: str = "legal_entity_base",
        fields: Sequence[str] = COMPANY,
        *,
        sign_it: bool = False,
        **words: Any,
    ) -> exchange_pb2.QueryRequest:
        """Return an ordinary query of an agency about one company, any part of it replaced."""
        values: dict[str, Any] = {
            "subjects": [self.population.sample[3]],
            "purpose": "CREDIT_REPORT",
            "scenario": "ENTERPRISE_REPORT",
            "operator": OPERATOR,
            "case_reference": CASE,
        }
        maker = Client(self.gateway.address, self._identity(who), sign=sign_it)
        return maker.build_query(product, fields, **(values | words))

    async def query(
        self, who: Member | Player | Identity, *parts: Any, **words: Any
    ) -> list[exchange_pb2.QueryResponse]:
        """Ask over the wire and return the messages of the answer."""
        return await self.send(who, self.build(who, *parts, **words))

    async def send(
        self, who: Member | Player | Identity, query: exchange_pb2.QueryRequest
    ) -> list[exchange_pb2.QueryResponse]:
        """Send a built query and return the messages of the answer."""
        return [message async for message in self.exchange(who).Query(query, timeout=60)]

    def copy_abroad(self) -> None:
        """Have copied what may cross since a whitelist changed, as the gateway does by itself."""
        self.gateway.border.look()

    def entry(self, index: int) -> dict[str, Any]:
        """Return one entry of the log as it stands in the sequencer's table."""
        found = read_bodies(self._reader, index, index + 1)
        assert len(found) == 1, "the log has no such entry"
        return json.loads(found[0][2])

    def entries(self) -> list[dict[str, Any]]:
        """Return every entry of the log, the index of each its place in the list."""
        return [json.loads(body) for body in self.bodies()]

    def bodies(self) -> list[bytes]:
        """Return every entry's bytes."""
        (count,) = self._reader.execute("SELECT count(*) FROM audit_entry").fetchone()
        found = [row[2] for row in read_bodies(self._reader, 0, count)]
        assert len(found) == count
        return found

    def of_intent(self, index: int) -> list[dict[str, Any]]:
        """Return the entries that refer to an intent, in their order."""
        return [entry for entry in self.entries()[index + 1 :] if entry.get("intent") == index]

    async def close(self) -> None:
        for channel in self._channels.values():
            await channel.close()
        self._reader.close()

    def _identity(self, who: Member | Player | Identity) -> Identity:
        if isinstance(who, Player):
            return self.identity(who)
        return who.identity if isinstance(who, Member) else who


def fingerprint(identity: Identity) -> str:
    """Return the pin of an identity's key."""
    return pin(x509.load_pem_x509_certificate(identity.certificate).public_key())  # type: ignore[arg-type]  # an EC key


def patient(stage: Stage) -> Stage:
    """Return a stage whose limits outlast what a busy machine or a slow disk does to a test.

    A lease also outlasts what a test does in the gateway's own loop: `Site.copy_abroad` copies
    there. Limits that the stage was given on purpose stay.
    """
    deployment, settings = stage.deployment, stage.deployment.settings
    given, longer = settings.limits, {"policy_deadline_ms": 20_000, "busy_timeout_ms": 60_000}
    usual = {name: Limits.model_fields[name].default for name in longer}
    limits = {name: most for name, most in longer.items() if getattr(given, name) == usual[name]}
    settings = settings.model_copy(
        update={
            "replicas": settings.replicas.model_copy(update={"lease_ms": 20_000}),
            "state": settings.state.model_copy(update={"deadline_ms": 30_000}),
            "limits": given.model_copy(update=limits),
        }
    )
    return replace(stage, deployment=replace(deployment, settings=settings))


def copy_stage(stage: Stage, root: Path) -> Stage:
    """Return a copy of a deployment that nobody serves yet, its publicity checked just now.

    The stage is as old as the session, which may be longer than publicity may lag (R13).
    """
    shutil.copytree(stage.deployment.root, root)
    copied = Deployment.open(root)
    with closing(sqlite3.connect(copied.state_path)) as state, state:
        state.execute("UPDATE feeds SET as_of = ? WHERE as_of > 0", (int(time.time()),))
    return replace(stage, deployment=copied)


def written(site: Site) -> list[tuple[Path, bytes]]:
    """Return every file of the gateway but the records themselves."""
    deployment = site.deployment
    while True:
        try:
            return [
                (path, path.read_bytes())
                for path in sorted(deployment.directory.rglob("*"))
                if path.is_file() and deployment.snapshots_directory not in path.parents
            ]
        except FileNotFoundError:
            continue  # the gateway serves on, and gave a file its name meanwhile


def read_only(path: Path) -> sqlite3.Connection:
    """Return a connection that can't write."""
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)
