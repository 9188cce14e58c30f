"""`xinguan feed`: the feeds that decisions come in by, and documents to try them with."""

import asyncio
import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from gateway.cli.authorities import authority_key_path
from gateway.cli.console import (
    HERE,
    AsJson,
    Home,
    Session,
    instant,
    now,
    read_text,
    session,
    show,
)
from gateway.cli.descriptions import parse_instant
from gateway.domain.errors import NotFoundError, UnavailableError
from gateway.identity.keyfiles import read_document_key
from gateway.registry.documents import BadDocumentError, Claims, parse_claims, sign
from gateway.repair.decision import Origin
from gateway.repair.feed import FeedError

C = TypeVar("C", bound=Claims)
_COMPACT = re.compile(r"[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+")  # RFC 7515, section 7.1

app = typer.Typer(help="Feeds of decisions and of publicity: read, look at, sign for trying out.")
Key = Annotated[Path | None, typer.Option("--authority-key", help="Ed25519 private key, PEM.")]
Unit = Annotated[str, typer.Option("--unit", help="USCC of the unit that states it.")]


@app.command()
def run(
    feed: Annotated[str, typer.Argument(help="Name of a feed of the settings.")],
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Read a feed to its present end, on a deployment that no gateway serves.

    A running gateway reads its feeds itself.
    """
    with session(home) as opened:
        if feed not in opened.deployment.settings.feeds:
            raise NotFoundError("NOT_FOUND", "the settings name no such feed")
        told = asyncio.run(_run(opened, feed))
    show(told, as_json, title="Feed read")


@app.command()
def status(home: Home = HERE, as_json: AsJson = False) -> None:
    """Show how far each feed was read, by whom, and what was refused."""
    with session(home) as opened:
        told = opened.run(lambda tx: _status(tx, opened))
    show(told, as_json, title="Feeds")


@app.command()
def refused(
    feed: Annotated[str, typer.Option(help="Only this feed.")] = "",
    content: Annotated[bool, typer.Option("--content", help="With what came.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """List what feeds brought and the gateway refused, with place and rule."""
    with session(home) as opened:
        rows = opened.run(
            lambda tx: tx.execute(
                "SELECT feed, place, rule, code, digest, refused_at, content FROM feed_refusals"
                " WHERE feed = ? OR ? = '' ORDER BY refused_at DESC, place LIMIT ?",
                (feed, feed, limit),
            ).fetchall()
        )
    told = [
        {
            "feed": row[0],
            "place": row[1],
            "rule": row[2],
            "code": row[3],
            "digest": row[4],
            "refused": instant(row[5]),
        }
        | ({"content": row[6]} if content else {})
        for row in rows
    ]
    show(told, as_json, title="Refused")


@app.command()
def append(
    file: Annotated[Path, typer.Argument(help="A file feed; made when missing.")],
    documents: Annotated[list[Path], typer.Argument(help="Signed documents, compact JWS.")],
    assurance: Annotated[bool, typer.Option("--assurance", help="They are assurances.")] = False,
    as_json: AsJson = False,
) -> None:
    """Append signed documents to a file feed, one line each."""
    word = "assurance" if assurance else "decision"
    lines = [json.dumps({"v": 1, word: _document(path)}) for path in documents]
    with file.open("a", encoding="ascii") as sink:
        sink.write("".join(f"{line}\n" for line in lines))
    show({"file": str(file), "appended": len(lines)}, as_json, title="Appended")


@app.command()
def assure(
    out: Annotated[Path, typer.Argument(help="Where to put the signed assurance.")],
    product: Annotated[list[str], typer.Option(help="A complete product; repeatable.")],
    sequence: Annotated[
        int, typer.Option(min=0, max=2**53 - 1, help="Newest sequence of the origin.")
    ],
    origin: Annotated[Origin, typer.Option(help="Whose decisions.")] = Origin.CREDIT_CHINA,
    as_of: Annotated[str, typer.Option(help="Nothing is missing up to; now by default.")] = "",
    authority_key: Key = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Sign an assurance that a feed is complete up to a moment (R13)."""
    from gateway.repair.assurance import ASSURANCE_TYPE, AssuranceClaims

    claims = _stated(
        AssuranceClaims,
        v=1,
        origin=origin.value,
        sequence=sequence,
        products=tuple(product),
        as_of=_past(as_of),
    )
    _write_signed(home, authority_key, claims, ASSURANCE_TYPE, out)
    show({"assurance": str(out), "as_of": instant(claims.as_of)}, as_json, title="Signed")


@app.command()
def statement(
    product: Annotated[str, typer.Argument(help="The product.")],
    file: Annotated[Path, typer.Argument(help="Publicity file: .parquet, .csv or .arrow.")],
    unit: Unit,
    authority: Annotated[Origin, typer.Option(help="Whose publicity.")] = Origin.CREDIT_CHINA,
    as_of: Annotated[str, typer.Option(help="When it was right; now by default.")] = "",
    authority_key: Key = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Sign a publicity statement over a file, put beside it as NAME.jws."""
    from gateway.repair.publicity import PUBLICITY_TYPE, PublicityClaims, read_publicity

    read = read_publicity(file)
    claims = _stated(
        PublicityClaims,
        v=1,
        authority=authority.value,
        unit=unit,
        product=product,
        as_of=_past(as_of),
        records=read.table.num_rows,
        sha256=read.sha256,
    )
    out = file.with_suffix(".jws")
    token = _write_signed(home, authority_key, claims, PUBLICITY_TYPE, out)
    digest = hashlib.sha256(token.encode()).hexdigest()
    told = {"statement": str(out), "digest": digest, "records": claims.records}
    show(told, as_json, title="Signed")


def _document(path: Path) -> str:
    """Return a signed document as it stands in a feed.

    Raises:
        BadDocumentError: It isn't the compact form of one, so every reader would refuse it.
    """
    token = read_text(path).strip()
    if _COMPACT.fullmatch(token) is None:
        raise BadDocumentError(f"{path.name} is not a signed document in compact form")
    return token


def _past(text: str) -> int:
    """Return a moment up to which something is right; now by default.

    Raises:
        BadDocumentError: It is no moment, or it is still to come.
    """
    present = now()
    stated = parse_instant(text) if text else present
    if stated > present:
        raise BadDocumentError("nobody knows yet what will be right then; --as-of is in the future")
    return stated


def _stated(model: type[C], **claims: Any) -> C:
    """Return claims that the options state.

    Raises:
        BadDocumentError: `BAD_DOCUMENT`, naming the claim at fault.
    """
    return parse_claims(json.dumps(claims).encode(), model)


def _write_signed(home: Path, key: Path | None, claims: Any, typ: str, out: Path) -> str:
    with session(home) as opened:
        signer = read_document_key(authority_key_path(opened.deployment, key))
    token = sign(claims, signer, typ)
    out.write_text(token + "\n", encoding="ascii")
    return token


async def _run(opened: Session, feed: str) -> dict[str, Any]:
    from gateway.cli.repair_parts import parts_of

    try:
        parts = parts_of(opened)
        taken = await parts.feeds.runner().run_once(feed)
        await parts.delays.close()
    except FeedError as fault:
        raise UnavailableError(fault.code, str(fault)) from None
    return {"feed": feed, "applied": taken.applied, "refused": taken.refused}


def _status(tx: Any, opened: Session) -> list[dict[str, Any]]:
    read = {row[0]: row[1:] for row in tx.execute(
        "SELECT feed, position, applied, refused, read_to_end_at FROM repair_feeds"
    ).fetchall()}  # fmt: skip
    leases = {row[0]: row[1:] for row in tx.execute(
        "SELECT feed, holder, expires FROM feed_leases"
    ).fetchall()}  # fmt: skip
    told = []
    for name in sorted({*read, *opened.deployment.settings.feeds}):
        settings = opened.deployment.settings.feeds.get(name)
        position, applied, refused_items, at_end = read.get(name, ("", 0, 0, None))
        holder, expires = leases.get(name, ("", 0))
        told.append(
            {
                "feed": name,
                "kind": settings.kind.value if settings else "",
                "position": position,
                "applied": applied,
                "refused": refused_items,
                "read_to_end": instant(at_end),
                "reader": holder if expires > opened.act.now else "",
            }
        )
    return told
