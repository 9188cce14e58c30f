"""`xinguan recognition`: terms, mapping tables, field tables and identifiers of mutual recognition.

Each of the four registers has the same commands: the authority signs a document (`enact`), or one
administrator proposes it and two others of different roles approve it (`propose`, `approve`).
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from audit.journal import Transaction
from gateway.cli.authorities import authority_key_path
from gateway.cli.console import (
    HERE,
    AsJson,
    Home,
    Session,
    instant,
    read_bytes,
    read_text,
    session,
    show,
)
from gateway.cli.descriptions import read_claims
from gateway.cli.signed_file import signed_file
from gateway.domain.errors import NotFoundError
from gateway.domain.recognition import Register
from gateway.domain.vocabulary import Role
from gateway.identity.keyfiles import read_document_key
from gateway.recognition import register as registers
from gateway.recognition.claims import MODELS, AnyClaims, Ground, ground, name_of
from gateway.recognition.register import Statement, document_type
from gateway.recognition.reports import digests
from gateway.registry import parties
from gateway.registry.catalogue import POLICY_CATALOGUE, Catalogue
from gateway.registry.documents import BadDocumentError, sign

app = typer.Typer(help="Mutual recognition: terms, mapping tables, field tables, identifiers.")
HELP = {
    Register.TERMS: "What a partner's agreement allows: modes, purposes, places, end uses.",
    Register.MAPPING: "Tables that map grades, total and monotone.",
    Register.FIELDS: "How fields are called in a destination, and what its law keeps out.",
    Register.IDENTIFIERS: "Which identifiers (USCC, LEI, local number) name the same enterprise.",
}
Description = Annotated[
    Path | None, typer.Argument(help="Description to be signed: YAML, JSON or TOML.")
]
Name = Annotated[str, typer.Option("--name", help="What the versions share; see `list`.")]
Approved = Annotated[
    int | None,
    typer.Option("--version", min=1, max=2**31 - 1, help="Version of the document; 1 by default."),
]
Version = Annotated[
    int, typer.Option("--version", min=1, max=2**31 - 1, help="Version of the document.")
]


@app.command()
def digest(
    file: Annotated[Path, typer.Argument(help="A report, byte for byte.")],
    as_json: AsJson = False,
) -> None:
    """Print the digests of a report, as CheckReport takes them."""
    found = {name: value.hex() for name, value in digests(read_bytes(file)).items()}
    show(found, as_json, title="Digests")


def _group(register: Register) -> typer.Typer:
    """Return the commands of one register."""
    group = typer.Typer(help=HELP[register])
    _add_signing(group, register)
    _add_approving(group, register)
    _add_reading(group, register)
    return group


def _add_signing(group: typer.Typer, register: Register) -> None:
    @group.command()
    def enact(
        description: Description = None,
        document: Annotated[
            Path | None, typer.Option(help="A document that the authority signed elsewhere.")
        ] = None,
        authority_key: Annotated[
            Path | None, typer.Option(help="The authority's Ed25519 private key, PEM.")
        ] = None,
        out: Annotated[Path | None, typer.Option(help="Where to put the signed document.")] = None,
        home: Home = HERE,
        as_json: AsJson = False,
    ) -> None:
        """Sign a document with the authority's key, or take a signed one, and put it in effect."""
        if (description is None) == (document is None) or (document and authority_key):
            raise typer.BadParameter(
                "give a description to sign (with --authority-key), or a signed --document"
            )
        with session(home) as opened:
            if description is not None:
                key = read_document_key(authority_key_path(opened.deployment, authority_key))
                claims = _claims(opened, register, description)
                signed = sign(claims, key, document_type(register))
            else:
                signed = read_text(document) if document else ""
            keys = opened.deployment.authority_keys()
            with signed_file(out, signed):
                done = opened.run(
                    lambda tx: registers.enact(
                        tx, signed, register, opened.act, key_of=keys.get, known=_ground(tx)
                    )
                )
        show(_told(done), as_json, title="In effect")


def _add_approving(group: typer.Typer, register: Register) -> None:
    @group.command()
    def propose(description: Description, home: Home = HERE, as_json: AsJson = False) -> None:
        """Propose a document; it has no effect before two approvals of different roles."""
        if description is None:
            raise typer.BadParameter("give a description")
        with session(home) as opened:
            claims = _claims(opened, register, description)
            done = opened.run(lambda tx: registers.propose(tx, claims, opened.act, _ground(tx)))
        show(_told(done), as_json, title="Proposed")

    @group.command()
    def approve(
        name: Name = "",
        version: Approved = None,
        key: Annotated[
            Path | None, typer.Option(help="The approver's document key: signs the approval here.")
        ] = None,
        document: Annotated[
            Path | None, typer.Option(help="An approval that was signed elsewhere.")
        ] = None,
        home: Home = HERE,
        as_json: AsJson = False,
    ) -> None:
        """Record an approval that an administrator signed with a registered document key."""
        if (key is None) == (document is None) or (key is not None and not name):
            raise typer.BadParameter("give --name and --key, or a signed --document")
        if document is not None and (name or version is not None):
            raise typer.BadParameter("a signed --document says itself what it approves")
        with session(home) as opened:
            if key is not None:
                found = opened.run(lambda tx: registers.find(tx, register, name, version or 1))
                typ = document_type(register, approval=True)
                signed = sign(found.claims, read_document_key(key), typ)
            else:
                signed = read_text(document) if document else ""
            done = opened.run(lambda tx: registers.approve_signed(tx, signed, register, opened.act))
        show(_told(done), as_json, title="Approval recorded")


def _add_reading(group: typer.Typer, register: Register) -> None:
    @group.command("list")
    def list_documents(home: Home = HERE, as_json: AsJson = False) -> None:
        """List every version, those that await approvals included."""
        with session(home) as opened:
            rows = [_told(found) for found in opened.run(lambda tx: registers.every(tx, register))]
        show(rows, as_json, title=register.value)

    @group.command("show")
    def show_document(
        name: Name, version: Version, home: Home = HERE, as_json: AsJson = False
    ) -> None:
        """Show what one version says."""
        with session(home) as opened:
            found = opened.run(lambda tx: registers.find(tx, register, name, version))
        content = found.claims.model_dump(mode="json")
        show({**_told(found), "content": content}, as_json, title=register.value)

    @group.command()
    def withdraw(name: Name, version: Version, home: Home = HERE, as_json: AsJson = False) -> None:
        """End a version from now on; no older version comes back."""
        with session(home) as opened:
            done = opened.run(
                lambda tx: registers.withdraw(tx, register, name, version, opened.act)
            )
        show(_told(done), as_json, title="Withdrawn")


for _register in Register:
    app.add_typer(_group(_register), name=_register.value)


def _claims(opened: Session, register: Register, description: Path) -> AnyClaims:
    """Return what a description states, its version the next one, which it may leave out.

    Raises:
        BadDocumentError: `BAD_DOCUMENT`; also when it states another version than the next one.
    """
    model, defaults = MODELS[register], {"v": 1, "version": 1, "not_before": opened.act.now}
    name = name_of(read_claims(description, model, defaults))
    version = opened.run(lambda tx: registers.next_version(tx, register, name))
    claims = read_claims(description, model, defaults | {"version": version})
    if claims.version != version:
        raise BadDocumentError(f"version: the next one is {version}; leave it out, or state that")
    return claims


def _ground(tx: Transaction) -> Ground:
    def role_of(party: str) -> Role | None:
        try:
            return parties.find(tx, party).role
        except NotFoundError:
            return None

    catalogue = Catalogue.load(POLICY_CATALOGUE)
    return ground({name: catalogue.product(name) for name in catalogue.names()}, role_of)


def _told(statement: Statement) -> dict[str, Any]:
    claims = statement.claims
    if statement.withdrawn_at is not None:
        state = "withdrawn"
    elif statement.effect_index is None:
        state = "awaits approval"
    else:
        state = "signed" if statement.signed else "approved"
    return {
        "register": statement.register.value,
        "name": statement.name,
        "version": claims.version,
        "from": instant(claims.not_before),
        "approvals": {role: who for role, (who, _) in statement.approvals.items()},
        "state": state,
        "entry": statement.index,
    }
