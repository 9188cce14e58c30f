"""The commands that every register of the border has: add, approve, list, suspend, withdraw."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from audit.journal import Transaction
from gateway.border import kept as keeping
from gateway.border import statements
from gateway.border.claims import (
    APPROVAL_TYPE,
    MODELS,
    NAME_CLAIMS,
    AssessmentClaims,
    document_type,
)
from gateway.border.kept import Kept
from gateway.border.law import lawful_border
from gateway.border.signers import WAYS
from gateway.cli.authorities import authority_key_path
from gateway.cli.console import (
    HERE,
    AsJson,
    Home,
    Reason,
    Session,
    because,
    instant,
    read_text,
    session,
    show,
)
from gateway.cli.descriptions import read_claims, stated_text
from gateway.cli.party_name import canonical_id
from gateway.domain.border import Register
from gateway.domain.vocabulary import Status
from gateway.identity.keyfiles import read_document_key
from gateway.registry.act import Act
from gateway.registry.documents import BadDocumentError, sign

Name = Annotated[str, typer.Argument(help="Number, party id or product.", metavar="NAME")]
Change = Callable[[Transaction, Register, str, Act], Kept]
_PARTY_REGISTERS = frozenset({Register.RESTRICTED, Register.PARTNER, Register.EXPORTER})
_STATES = {
    Status.ACTIVE: "in effect",
    Status.SUSPENDED: "suspended",
    Status.REVOKED: "withdrawn",
}


def add_commands(app: typer.Typer, register: Register) -> None:
    """Give a register the commands that its rules admit."""
    ways = WAYS[register]
    _add_add(app, register)
    if ways.approvals:
        _add_approve(app, register)
    if register is not Register.MECHANISM:  # whose list tells of renewals too
        _add_list(app, register)
    _add_show(app, register)
    if ways.withdrawable:
        _add_changes(app, register)


def _add_add(app: typer.Typer, register: Register) -> None:
    @app.command()
    def add(
        description: Annotated[
            Path | None, typer.Argument(help="Description: YAML, JSON or TOML.")
        ] = None,
        document: Annotated[
            Path | None, typer.Option(help="A document that was signed elsewhere.")
        ] = None,
        key: Annotated[
            Path | None, typer.Option(help="Key of who answers for it; signs it here.")
        ] = None,
        propose: Annotated[
            bool, typer.Option("--propose", help="Don't sign: two approvals put it in effect.")
        ] = False,
        home: Home = HERE,
        as_json: AsJson = False,
    ) -> None:
        """State something by a signed document, or propose it for two approvals."""
        ways = sum(map(bool, (document, key, propose)))
        if (description is None) == (document is None) or ways > 1:
            raise typer.BadParameter(
                "give a description (with --key, or --propose), or a signed --document"
            )
        law = lawful_border()
        with session(home) as opened:
            if propose and description is not None:
                claims = _described(opened, register, description)
                done = opened.run(lambda tx: statements.propose(tx, claims, opened.act, law))
            else:
                if description is not None:
                    signed = _sign(opened, register, description, key)
                else:
                    signed = read_text(document) if document else ""
                keys = opened.deployment.authority_keys()
                done = opened.run(
                    lambda tx: statements.register_signed(
                        tx, register, signed, opened.act, law, authority_key=keys.get
                    )
                )
        show(told(done, opened.act.now), as_json, title="Statement")


def _add_approve(app: typer.Typer, register: Register) -> None:
    @app.command()
    def approve(
        name: Name = "",
        version: Annotated[
            int, typer.Option(min=0, max=2**31 - 1, help="The newest by default.")
        ] = 0,
        key: Annotated[
            Path | None, typer.Option(help="The approver's document key: signs here.")
        ] = None,
        document: Annotated[
            Path | None, typer.Option(help="An approval that was signed elsewhere.")
        ] = None,
        home: Home = HERE,
        as_json: AsJson = False,
    ) -> None:
        """Record an approval that an administrator signed with a registered key."""
        if (key is None) == (document is None) or (key is not None and not name):
            raise typer.BadParameter("give a name and --key, or a signed --document")
        if document is not None and (name or version):
            raise typer.BadParameter("a signed --document says itself what it approves")
        with session(home) as opened:
            if key is not None:
                signed = _approval(opened, register, _canonical(register, name), version, key)
            else:
                signed = read_text(document) if document else ""
            done = opened.run(
                lambda tx: statements.approve_signed(tx, register, signed, opened.act)
            )
        show(told(done, opened.act.now), as_json, title="Approval recorded")


def _add_list(app: typer.Typer, register: Register) -> None:
    @app.command("list")
    def list_statements(home: Home = HERE, as_json: AsJson = False) -> None:
        """List every version of every statement."""
        with session(home) as opened:
            rows = [
                told(kept, opened.act.now)
                for kept in opened.run(lambda tx: keeping.every(tx, register))
            ]
        show(rows, as_json, title="Statements")


def _add_show(app: typer.Typer, register: Register) -> None:
    @app.command("show")
    def show_statement(name: Name, home: Home = HERE, as_json: AsJson = False) -> None:
        """Show the newest version of a statement, all of it."""
        with session(home) as opened:
            found = opened.run(lambda tx: keeping.newest(tx, register, _canonical(register, name)))
        terms = json.loads(found.claims.model_dump_json(exclude_none=True))
        show(told(found, opened.act.now) | {"terms": terms}, as_json, title="Statement")


def _add_changes(app: typer.Typer, register: Register) -> None:
    @app.command()
    def suspend(
        name: Name, reason: Reason = "", home: Home = HERE, as_json: AsJson = False
    ) -> None:
        """Let it hold no more until it is resumed, for running streams too."""
        _change(statements.suspend, register, name, reason, home, as_json)

    @app.command()
    def resume(name: Name, reason: Reason = "", home: Home = HERE, as_json: AsJson = False) -> None:
        """End a suspension."""
        _change(statements.resume, register, name, reason, home, as_json)

    @app.command()
    def withdraw(
        name: Name, reason: Reason = "", home: Home = HERE, as_json: AsJson = False
    ) -> None:
        """End it for ever, for running streams too; no older version comes back."""
        _change(statements.withdraw, register, name, reason, home, as_json)


def _change(
    change: Change, register: Register, name: str, reason: str, home: Path, as_json: bool
) -> None:
    with session(home) as opened:
        act = because(opened.act, reason)
        done = opened.run(lambda tx: change(tx, register, _canonical(register, name), act))
    show(told(done, opened.act.now), as_json, title="Statement")


def told(kept: Kept, now: int) -> dict[str, Any]:
    """Return a statement as the lists show it."""
    claims = kept.claims
    if kept.status is Status.REVOKED:
        state = "withdrawn"
    elif kept.registered is None:
        state = "awaits approval"
    elif claims.ends is not None and claims.ends <= now:
        state = "over"
    else:
        state = _STATES[kept.status]
    terms = claims.model_dump(mode="json", exclude_none=True)
    shown: dict[str, Any] = {
        name: terms[name]
        for name in (
            "kind", "exporter", "recipient", "purposes", "products", "scale_cap", "listed",
            "judicial", "country", "ciio", "state_organ", "basis", "fields", "notified",
        )
        if name in terms
    }  # fmt: skip
    row: dict[str, Any] = {
        "name": claims.name,
        "version": claims.version,
        **shown,
        "from": instant(claims.not_before),
        "until": instant(claims.ends),
        "state": state,
        "approvals": {role: who for role, (who, _) in kept.approvals.items()},
        "entry": kept.status_index,
    }
    if isinstance(claims, AssessmentClaims):
        row["kept_until"] = lawful_border().kept_until(claims.not_after).isoformat()
    return row


def _canonical(register: Register, name: str) -> str:
    return canonical_id(name) if register in _PARTY_REGISTERS else name


# Any: the claims of one of seven models, which the register names.
def _described(opened: Session, register: Register, description: Path) -> Any:
    claim = NAME_CLAIMS[register]
    stated = stated_text(description, claim)
    if not stated:
        raise BadDocumentError(f"{claim}: a statement is found by it")
    name = _canonical(register, stated)
    version = opened.run(lambda tx: keeping.next_version(tx, register, name))
    defaults = {"v": 1, "version": version, "not_before": opened.act.now}
    return read_claims(description, MODELS[register], defaults)


def _sign(opened: Session, register: Register, description: Path, key: Path | None) -> str:
    path = authority_key_path(opened.deployment, key)
    claims = _described(opened, register, description)
    return sign(claims, read_document_key(path), document_type(register))


def _approval(opened: Session, register: Register, name: str, version: int, key: Path) -> str:
    def proposed(tx: Transaction) -> Kept:
        if version:
            return keeping.find(tx, register, name, version)
        return keeping.newest(tx, register, name)

    return sign(opened.run(proposed).claims, read_document_key(key), APPROVAL_TYPE)
