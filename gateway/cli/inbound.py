"""`xinguan inbound`: credit documents from abroad, checked, admitted and asked after (M58)."""

import asyncio
import csv
import os
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import track

from audit.openings import OpeningStore
from gateway.cli import inbound_issuer
from gateway.cli.console import HERE, AsJson, Home, Session, instant, read_text, session, show
from gateway.cli.repair_parts import parts_of
from gateway.credential.key_binding import Binding
from gateway.domain.errors import InvalidRequestError, Reason
from gateway.domain.foreign import FOREIGN_PRODUCT
from gateway.inbound import records
from gateway.inbound.checking import Checker, Register, check_valid
from gateway.inbound.desk import Desk, older_ones
from gateway.inbound.errors import ForeignDocumentError
from gateway.inbound.fetching import HttpsLists
from gateway.inbound.given_lists import GivenLists
from gateway.inbound.outcomes import Handed, Outcome, Refreshed
from gateway.inbound.refreshing import Found
from gateway.inbound.vault import Vault
from gateway.ingest.loading import Loaded
from gateway.registry import issuers
from gateway.registry.catalogue import Catalogue

app = typer.Typer(help="Credit documents from abroad: check, admit, refresh (M58).")
app.add_typer(inbound_issuer.app, name="issuer")
T = TypeVar("T")

Files = Annotated[
    list[Path],
    typer.Argument(help="A document each (SD-JWT VC or signed report), its status list below it."),
]
Lists = Annotated[
    list[Path] | None, typer.Option("--status", help="A status list token; repeatable.")
]
Fetch = Annotated[
    bool, typer.Option("--fetch", help="Fetch status lists from where the register says.")
]
Audience = Annotated[str, typer.Option(help="Audience that a holder bound its document to.")]
Nonce = Annotated[str, typer.Option(help="Nonce that a holder was given.")]
_PRIVATE = 0o600


@app.command()
def check(
    files: Files,
    status: Lists = None,
    fetch: Fetch = False,
    audience: Audience = "",
    nonce: Nonce = "",
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Check documents as admission would; nothing is kept. Ends with 2 when one is refused."""
    handed, given = _read(files, status or [], fetch=fetch)
    bound = _binding(audience, nonce)
    with session(home) as opened:
        checker = Checker(_register(opened), given)
        told = [_checked(opened, checker, one, bound) for one in track_quietly(handed)]
    show(told, as_json, title="Checked")
    if refused := [one["code"] for one in told if one["code"]]:
        raise InvalidRequestError(
            str(refused[0]),
            f"{len(refused)} of {len(told)} documents would be refused",
            reasons=[Reason("GATE", str(refused[0]))],
        )


@app.command()
def admit(
    files: Files,
    status: Lists = None,
    fetch: Fetch = False,
    audience: Audience = "",
    nonce: Nonce = "",
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Admit documents and serve them; what is refused is listed with its reason.

    A running gateway serves them at once. An older document of the same issuer about the same
    firm is withdrawn, and whoever received it is told.
    """
    handed, given = _read(files, status or [], fetch=fetch)
    bound = _binding(audience, nonce)
    with session(home) as opened:
        done = _with_desk(
            opened,
            lambda desk: desk.admit(
                handed, lambda register: Checker(register, given), opened.act, binding=bound
            ),
        )
        refused = [one for one in done.outcomes if one.code]
        listed = _quarantine(opened, refused) if refused else None
    told = {
        "documents": len(handed),
        "admitted": len(handed) - len(refused),
        "quarantined": len(refused),
        "reasons": _counted(refused),
        "quarantine": str(listed or ""),
        "replaced": done.replaced,
        "records": [one.key for one in done.outcomes if one.key],
        **_served(done.loaded),
    }
    show(told, as_json, title="Admitted")


@app.command()
def refresh(
    status: Lists = None,
    fetch: Fetch = False,
    issuer: Annotated[str, typer.Option(help="Only documents of this issuer.")] = "",
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Ask again whether admitted documents hold; what doesn't is withdrawn at once.

    Without a fresh list nothing is withdrawn, and nothing stays: a record leaves no more once its
    last list is over.
    """
    _, given = _read([], status or [], fetch=fetch)
    with session(home) as opened:
        done = _with_desk(
            opened,
            lambda desk: desk.refresh(
                lambda register: Checker(register, given), opened.act, issuer=issuer
            ),
        )
    show(_refreshed(done), as_json, title="Refreshed")


@app.command("list")
def list_records(home: Home = HERE, as_json: AsJson = False) -> None:
    """List admitted documents that are not withdrawn: provenance and state, never the firm."""
    with session(home) as opened:
        vault = Vault(opened.deployment.secrets().opening_key)
        stored = opened.run(lambda tx: records.living(tx, vault))
        told = [
            {
                "record": one.key,
                "issuer": one.issuer,
                "kind": one.vct,
                "issued": instant(one.issued_at),
                "status_as_of": instant(one.status_as_of),
                "fresh_until": instant(one.fresh_until),
                "state": one.state.value if one.fresh_until > opened.act.now else "STALE",
                "entry": one.index,
            }
            for one in stored
        ]
    show(told, as_json, title="Documents from abroad")


def track_quietly(handed: Sequence[Handed]) -> Any:  # Any: what rich returns to iterate over
    """Return the documents to go through, with a progress bar when there are many."""
    few = 50
    if len(handed) < few:
        return handed
    return track(handed, "checking", transient=True, console=Console(stderr=True))


def withdraw_all(opened: Session, issuer: str) -> Refreshed:
    """Withdraw every record of an issuer that was withdrawn itself; it holds when this returns."""
    return _with_desk(
        opened,
        lambda desk: desk.refresh(
            lambda register: Checker(register, GivenLists()), opened.act, issuer=issuer
        ),
    )


def _with_desk(opened: Session, work: Callable[[Desk], Coroutine[Any, Any, T]]) -> T:
    """Do something at the desk of a deployment."""

    async def run() -> T:
        parts, key = parts_of(opened), opened.deployment.secrets().opening_key
        catalogue = Catalogue.load()
        product = catalogue.product(FOREIGN_PRODUCT)
        desk = Desk(
            state=opened.state,
            library=parts.library,
            publisher=parts.publisher,
            openings=OpeningStore(key),
            vault=Vault(key),
            product=product,
            unit=catalogue.unit(product.manager_uscc).name_zh,
            folder=opened.deployment.directory / "inbound",
        )
        try:
            return await work(desk)
        finally:
            await parts.delays.close()

    return asyncio.run(run())


def _register(opened: Session) -> Register:
    return lambda issuer: opened.run(lambda tx: issuers.in_effect(tx, issuer, opened.act.now))


def _read(
    files: Sequence[Path], lists: Sequence[Path], *, fetch: bool
) -> tuple[list[Handed], GivenLists]:
    """Return the documents in files, and the status lists that came with them."""
    given = GivenLists(fetch=HttpsLists() if fetch else None)
    handed = []
    for path in files:
        document, *beside = read_text(path).split() or [""]
        handed.append(Handed(path.name, document))
        for token in beside:
            given.add(token)
    for path in lists:
        for token in read_text(path).split():
            given.add(token)
    return handed, given


def _binding(audience: str, nonce: str) -> Binding | None:
    if bool(audience) != bool(nonce):
        raise typer.BadParameter("give --audience and --nonce together")
    return Binding(audience, nonce) if audience else None


def _checked(
    opened: Session, checker: Checker, one: Handed, binding: Binding | None
) -> dict[str, Any]:
    now, vault = opened.act.now, Vault(opened.deployment.secrets().opening_key)
    told = {"document": one.name, "issuer": "", "kind": "", "holds_until": "", "code": ""}
    try:
        checked = checker.document(one.presentation, now, binding=binding)
        status = checker.status(checked, now)
        check_valid(status.standing)
        opened.run(lambda tx: older_ones(tx, vault, checked, status))
    except ForeignDocumentError as refused:
        return told | {"code": refused.code, "message": refused.message}
    ends = min(checked.valid_until, status.source.fresh_until)
    return told | {
        "issuer": checked.issuer.issuer,
        "kind": checked.vct,
        "holds_until": instant(ends),
        "message": "it holds",
    }


def _quarantine(opened: Session, refused: Sequence[Outcome]) -> Path:
    """List what was refused, for the operator alone to read; return the file."""
    folder = opened.deployment.directory / "inbound"
    path = folder / f"quarantine-{opened.act.now}-{os.getpid()}.csv"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _PRIVATE)
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as sink:
        writer = csv.writer(sink)
        writer.writerow(("document", "code", "message"))
        writer.writerows((one.name, one.code, one.message) for one in refused)
    return path


def _counted(refused: Sequence[Outcome]) -> str:
    codes = sorted({one.code for one in refused})
    return ", ".join(f"{code}: {sum(one.code == code for one in refused)}" for code in codes)


def _served(loaded: Loaded | None) -> dict[str, Any]:
    if loaded is None:
        return {"snapshot": "", "rows": None, "entry": None}
    return {
        "snapshot": loaded.snapshot.snapshot_id,
        "rows": loaded.snapshot.manifest.rows,
        "entry": loaded.index,
    }


def _refreshed(done: Refreshed) -> dict[str, Any]:
    counts = {what.value.lower(): done.count(what) for what in Found}
    return {"documents": len(done.found), **counts, **_served(done.loaded), "log": done.index}
