"""The stage: a development deployment with its cast registered, licensed, and records loaded."""

from dataclasses import dataclass
from pathlib import Path

from cryptography.x509 import load_pem_x509_certificate

from audit.journal import Transaction
from gateway.demo.cast import AUTHORITY, CAST, OPERATOR, PARTNER, SECURITY, WHITELIST, Player
from gateway.deployment import Deployment
from gateway.domain.vocabulary import SubjectKind
from gateway.founding import (
    AUTHORITY_KEY,
    CA_CERTIFICATE,
    CA_KEY,
    Founding,
    found,
)
from gateway.identity.certificates import CertificateAuthority
from gateway.identity.keyfiles import (
    new_tls_key,
    read_document_key,
    read_tls_key,
    write_new,
    write_private_key,
)
from gateway.ingest.enterprises import ImportReport, import_enterprises
from gateway.ingest.loading import Loaded, load_product
from gateway.ingest.synth import SynthReport, synthesise
from gateway.registry import certificates, licences, parties, whitelists
from gateway.registry.act import Act
from gateway.registry.catalogue import Catalogue
from gateway.registry.documents import LICENCE_TYPE, sign
from gateway.registry.licences import AgreementClaims, GrantClaims, LicenceClaims
from gateway.registry.registry import Registry
from gateway.serving.border import copier_of, open_store
from gateway.snapshot.library import SnapshotLibrary
from gateway.store.state import State
from xinguan.client import Identity

DAY_S = 86_400
_PARTY_DAYS = 90
NODE = "demo-1"
PENALTIES = "admin_penalty"
COMPANIES = "legal_entity_base"


@dataclass(frozen=True, slots=True)
class Stage:
    """A deployment ready to be served.

    Args:
        deployment: The deployment.
        population: What the synthetic population holds.
        loaded: Product name to what was loaded.
        imported: What became of a published register, or None.
    """

    deployment: Deployment
    population: SynthReport
    loaded: dict[str, Loaded]
    imported: ImportReport | None

    def identity(self, player: Player) -> Identity:
        """Return a player's certificate and key, as its own programs would load them."""
        return load_identity(self.deployment, player)


def load_identity(deployment: Deployment, player: Player) -> Identity:
    """Return a player's identity from the deployment's folder of parties."""
    folder = deployment.parties_directory / player.key
    authority = deployment.dev_authority / CA_CERTIFICATE
    return Identity.load(folder / "client.pem", folder / "client.key", authority)


def make_deployment(root: Path, now: int, *, state_url: str = "") -> Deployment:
    """Found a development deployment that listens on a free port of this machine."""
    return found(
        root,
        Founding(
            dev=True,
            authority_pem=b"",
            client_ca_pem=b"",
            node=NODE,
            origin="xinguan.example/demo",
            operator=OPERATOR.party_id,
            listen="127.0.0.1:0",
            server_names=("localhost", "127.0.0.1"),
            state_url=state_url,
        ),
        now,
    )


def register_cast(deployment: Deployment, state: State, now: int) -> None:
    """Register every organisation, pin its certificate, put its licence into force."""
    dev = deployment.dev_authority
    certificate = load_pem_x509_certificate((dev / CA_CERTIFICATE).read_bytes())
    issuer = CertificateAuthority(read_tls_key(dev / CA_KEY), certificate)
    act = Act(now, NODE)
    for player in CAST:
        state.run(lambda tx, player=player: _register(tx, player, act))  # type: ignore[misc]  # the default binds the loop's player
        folder = deployment.parties_directory / player.key
        folder.mkdir(mode=0o700, parents=True)
        key = new_tls_key()
        write_private_key(folder / "client.key", key)
        pem = issuer.issue_party(player.party_id, key.public_key(), now, _PARTY_DAYS)
        write_new(folder / "client.pem", pem, 0o644)
        state.run(lambda tx, pem=pem: certificates.pin(tx, pem, act))  # type: ignore[misc]  # the default binds the loop's certificate
        if player.kind is not None:
            state.run(lambda tx, player=player: license_player(deployment, tx, player, act))  # type: ignore[misc]  # as above


def license_player(deployment: Deployment, tx: Transaction, player: Player, act: Act) -> str:
    """Sign a player's licence with the development authority's key and put it into force.

    Returns:
        The licence id.
    """
    key = read_document_key(deployment.dev_authority / AUTHORITY_KEY)
    document = sign(licence_claims(player, act.now), key, LICENCE_TYPE)
    licence = licences.activate(tx, document, act, authority_key=deployment.authority_keys().get)
    return licence.licence_id


def licence_claims(player: Player, now: int) -> LicenceClaims:
    """Return what a player's licence says."""
    if player.kind is None:
        raise ValueError("this player needs no licence")
    return LicenceClaims(
        v=1,
        licence_id=f"DEMO-{player.key.upper()}",
        serial=1,
        party_id=player.party_id,
        kind=player.kind,
        agreement=AgreementClaims(
            agreement_id=f"AGREEMENT-{player.key.upper()}",
            not_before=now - DAY_S,
            not_after=now + 365 * DAY_S,
        ),
        grants={
            product: GrantClaims(
                fields=fields,
                pseudonymous=product in player.pseudonymous,
                minimum_subjects=10 if product in player.pseudonymous else 1,
            )
            for product, fields in player.grants
        },
        purposes=player.purposes,
        scenarios=(player.scenario,),
        destinations=(player.destination,),
        subject_kinds=(SubjectKind.LEGAL_ENTITY,),
        not_before=now - DAY_S,
        not_after=now + 300 * DAY_S,
    )


def approve_whitelist(state: State, now: int) -> None:
    """Propose the partner's whitelist and have two different roles approve it (R68)."""
    act = Act(now, NODE)
    state.run(lambda tx: allow_across(tx, COMPANIES, WHITELIST, "", act))


def allow_across(
    tx: Transaction, product: str, fields: tuple[str, ...], mechanism: str, act: Act
) -> None:
    """Propose the first whitelist of a product for the partner; two roles approve it."""
    content = whitelists.content(
        partner=PARTNER.party_id,
        product=product,
        version=1,
        fields=fields,
        mechanism=mechanism,
        not_before=act.now,
    )
    whitelists.propose(tx, content, act)
    for player in (SECURITY, AUTHORITY):
        whitelists.approve(tx, content, parties.find(tx, player.party_id), act)


def copy_abroad(deployment: Deployment, state: State, catalogue: Catalogue, act: Act) -> None:
    """Copy what may cross into the store apart, as a serving gateway does by itself (M58)."""
    registry = Registry(state)
    try:
        store = open_store(deployment, state)
        copier_of(deployment, state, store, catalogue.products, registry.view).round(act)
    finally:
        registry.close()


def set_stage(
    root: Path,
    now: int,
    *,
    companies: int = 200,
    seed: int = 1,
    published: Path | None = None,
    state_url: str = "",
    penalty_batch_rows: int = 32_768,
) -> Stage:
    """Make everything that the demonstration, the end-to-end tests and the benchmarks need.

    Args:
        root: An empty or missing directory.
        now: Unix seconds.
        companies: Size of the synthetic population.
        seed: The same seed gives the same population.
        published: A published register of enterprises; its records are served instead of the
            synthetic companies. Adverse records stay synthetic, whatever it is.
        state_url: A PostgreSQL database for the state, empty for a SQLite file.
        penalty_batch_rows: Rows of a batch of penalties, a multiple of 8.
    """
    deployment = make_deployment(root, now, state_url=state_url)
    population = synthesise(root / "synthetic", companies=companies, seed=seed, as_of=now)
    catalogue = Catalogue.load()
    library = SnapshotLibrary(deployment.snapshots_directory)
    state = deployment.open_state()
    try:
        register_cast(deployment, state, now)
        approve_whitelist(state, now)
        act = Act(now, NODE)
        loaded = {
            name: load_product(
                state,
                library,
                catalogue.product(name),
                file.path,
                act,
                batch_rows=penalty_batch_rows if name == PENALTIES else 32_768,
            )
            for name, file in population.files.items()
            if published is None or name != COMPANIES
        }
        imported = None
        if published is not None:
            imported = import_enterprises(published, root / "imported", now=now)
            loaded[COMPANIES] = load_product(
                state,
                library,
                catalogue.product(COMPANIES),
                imported.path,
                act,
                quarantined=imported.quarantined,
            )
        copy_abroad(deployment, state, catalogue, act)
    finally:
        state.close()
    return Stage(deployment, population, loaded, imported)


def _register(tx: Transaction, player: Player, act: Act) -> None:
    parties.register(tx, parties.registration(player.party_id, player.name, player.role), act)
