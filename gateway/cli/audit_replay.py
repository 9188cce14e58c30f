"""`xinguan audit replay`: make recorded decisions again and compare them, to the byte."""

import asyncio
import json
from collections.abc import Iterable
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from audit.errors import AuditError
from audit.pack import open_pack
from audit.replay import NOT_CHECKED, Finding, Recorded, Replayed, replay_one
from gateway.cli.audit_reading import log_reading
from gateway.cli.console import HERE, AsJson, Home, read_bytes, session, show
from gateway.cli.log_range import bodies, parse_range
from gateway.decision.history import input_of
from gateway.decision.keeping import compiled_of, kept
from gateway.decision.opa_process import find_opa
from gateway.decision.replaying import Remaker
from gateway.domain.errors import ConflictError, InvalidRequestError, NotFoundError

_ALL = ":"
_LONG = 2_000
_AT_ONCE = 32
_SHOWN = 20


def replay_command(
    span: Annotated[str, typer.Argument(metavar="[START:END]", help="END is excluded.")] = _ALL,
    engine: Annotated[str, typer.Option(help="embedded or opa.")] = "embedded",
    opa: Annotated[Path | None, typer.Option(help="The OPA binary, for --engine opa.")] = None,
    pack: Annotated[
        Path | None, typer.Option(help="An evidence pack instead of the deployment.")
    ] = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Make every decision of a range again from kept inputs and policies; compare all of it.

    Needs no running gateway and, with --pack, no deployment. The exit code is 1 when a decision
    came out otherwise or could not be made again; each is named. Reading the log is an entry.
    """
    if engine not in ("embedded", "opa"):
        raise typer.BadParameter("the engine is embedded or opa")
    if pack is not None and span != _ALL:
        raise typer.BadParameter("a pack is replayed whole; leave the range out")
    binary = find_opa(opa) if engine == "opa" else None
    found = _of_pack(pack, binary) if pack is not None else _of_deployment(home, span, binary)
    told = {
        "entries": found.entries,
        "decisions": found.decisions,
        "identical": found.identical,
        "outcome alike, entry has no digest": found.in_part,
        "refused before a decision": found.undecided,
        "diverged": _findings(found.diverged, as_json),
        "missing": _findings(found.missing, as_json),
        "engine": engine,
        "not checked": list(NOT_CHECKED),
    }
    show(told, as_json, title="Replay")
    if not found.holds:
        raise typer.Exit(1)


def _of_deployment(home: Path, span: str, binary: Path | None) -> Replayed:
    with session(home) as opened, closing(opened.state.connect()) as connection:
        start, end = parse_range(span, connection.next_index())
        log_reading(opened, "replay", start, end - start)
        remaker = Remaker(
            inputs=lambda digest: input_of(connection, digest),
            policies=lambda digest: kept(connection, digest),
            compiled=lambda recorded: compiled_of(connection, recorded.bundle, recorded.policy),
            opa=binary,
        )
        entries = bodies(opened.deployment, connection, start, end)
        return asyncio.run(_replay(entries, end - start, remaker, binary is not None))


def _of_pack(path: Path, binary: Path | None) -> Replayed:
    """Replay a pack with nothing else at hand; whether the pack holds is `xinguan-verify`'s."""
    try:
        pack = open_pack(read_bytes(path))
    except AuditError as error:
        raise InvalidRequestError("BAD_PACK", str(error)) from None

    def member(folder: str, ending: str, missing: str, digest: str) -> bytes:
        body = pack.files.get(f"{folder}/{digest}{ending}")
        if body is None:
            raise NotFoundError(missing, "it is not in the pack")
        return body

    def policies(digest: str) -> bytes:
        return pack.files.get(f"policies/{digest}.wasm") or member(
            "policies", ".tar.gz", "BUNDLE_MISSING", digest
        )

    def compiled(recorded: Recorded) -> str:
        entry: dict[str, Any] = json.loads(pack.entries.get(recorded.policy or -1, b"{}"))
        if "wasm" not in entry:
            raise ConflictError("COMPILED_MISSING", "the pack names no compiled policy")
        from audit.entry_form import raw_digest

        return raw_digest(entry["wasm"]).hex()

    remaker = Remaker(
        inputs=lambda digest: member("inputs", ".json", "INPUT_MISSING", digest),
        policies=policies,
        compiled=compiled,
        opa=binary,
    )
    entries = sorted(pack.entries.items())
    return asyncio.run(_replay(entries, len(entries), remaker, binary is not None))


async def _replay(
    entries: Iterable[tuple[int, bytes]], count: int, remaker: Remaker, together: bool
) -> Replayed:
    """Replay with a bar on long ranges; an OPA server is asked for several at once."""
    bar = Progress(
        TextColumn("deciding again"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    found = Replayed()
    group: list[tuple[int, bytes]] = []
    size = _AT_ONCE if together else 1

    async def flush() -> None:
        await asyncio.gather(
            *(replay_one(index, body, remaker.decide, found) for index, body in group)
        )
        group.clear()

    async with remaker:
        with bar if count > _LONG else nullcontext():
            task = bar.add_task("entries", total=count)
            for index, body in entries:
                if size == 1:
                    await replay_one(index, body, remaker.decide, found)
                else:
                    group.append((index, body))
                    if len(group) >= size:
                        await flush()
                if found.entries % _AT_ONCE == 0:
                    bar.update(task, completed=found.entries)
            await flush()
    return found


def _findings(found: list[Finding], as_json: bool) -> object:
    if as_json:
        return [{"index": each.index, "code": each.code, "message": each.message} for each in found]
    shown = [f"entry {each.index}: {each.code}: {each.message}" for each in found[:_SHOWN]]
    if len(found) > _SHOWN:
        shown.append(f"and {len(found) - _SHOWN} more; --json lists them all")
    return "\n".join(shown) or "none"
