"""`xinguan audit`: verify the log, prove an entry, read entries, see who asked about a subject."""

import json
import os
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from audit import entries as entry_kinds
from audit.commitment import Opening, commit, subject_label
from audit.errors import AuditError
from audit.integrator import Integrator
from audit.note import Ed25519Signer
from audit.openings import OpeningStore, who
from audit.reader import LogReader
from audit.sequence import read_bodies
from audit.verify import check_proof, prove, verify_log
from gateway.cli.audit_chain import chain_command
from gateway.cli.audit_evidence import evidence_command
from gateway.cli.audit_replay import replay_command
from gateway.cli.audit_samples import samples_command
from gateway.cli.console import HERE, AsJson, Home, now, read_bytes, session, show
from gateway.deployment import Deployment
from gateway.domain.errors import InvalidRequestError, NotFoundError, UnavailableError

app = typer.Typer(help="The audit log: verify it, prove an entry, read it.")
app.command("replay")(replay_command)
app.command("chain")(chain_command)
app.command("evidence")(evidence_command)
app.command("samples")(samples_command)
LogDirectory = Annotated[
    Path | None, typer.Option("--log", help="A copy of the log instead of the deployment's.")
]
Key = Annotated[str, typer.Option("--key", help="Verifier key of the log, for a copy.")]


@app.command()
def verify(
    log: LogDirectory = None, key: Key = "", home: Home = HERE, as_json: AsJson = False
) -> None:
    """Verify every entry, every tile and the checkpoint; name the first bad entry."""
    directory, vkey = _log(log, key, home)
    bar = Progress(TextColumn("verifying"), BarColumn(), MofNCompleteColumn(), transient=True)
    with bar:
        task = bar.add_task("entries", total=None)
        report = verify_log(
            directory,
            vkey,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    told: dict[str, Any] = {
        "entries": report.entries,
        "verified": not report.problems,
        "witnessed": "no (unwitnessed: nobody else has vouched for this log yet)",
        "first bad entry": report.first_bad,
        "problems": [problem.message for problem in report.problems[:10]],
    }
    show(told, as_json, title="The log")
    if report.problems:
        raise typer.Exit(1)


@app.command("prove")
def prove_entry(
    index: Annotated[int, typer.Argument(min=0, help="Log index.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for proof and entry.")] = Path(),
    log: LogDirectory = None,
    key: Key = "",
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Write the receipt of an entry (C2SP tlog-proof) and the entry, and check both."""
    directory, vkey = _log(log, key, home)
    try:
        receipt = prove(directory, index)
        entry = LogReader(directory, vkey).entry(index)
        check_proof(receipt, entry, vkey)
    except AuditError as error:
        raise NotFoundError("NOT_FOUND", str(error)) from None
    out.mkdir(parents=True, exist_ok=True)
    proof_path, entry_path = out / f"{index}.tlog-proof", out / f"{index}.json"
    proof_path.write_bytes(receipt)
    entry_path.write_bytes(entry)
    told = {"entry": str(entry_path), "proof": str(proof_path), "proved": True}
    show(told, as_json, title=f"Entry {index}")


@app.command("check")
def check(
    proof: Annotated[Path, typer.Argument(help="A .tlog-proof file.")],
    entry: Annotated[Path, typer.Argument(help="The entry that it proves.")],
    key: Annotated[str, typer.Option("--key", help="Verifier key of the log.")],
    as_json: AsJson = False,
) -> None:
    """Check a receipt without any deployment."""
    try:
        receipt, checkpoint = check_proof(read_bytes(proof), read_bytes(entry), key)
    except AuditError as error:
        raise InvalidRequestError("BAD_PROOF", str(error)) from None
    told = {"proved": True, "index": receipt.index, "log size": checkpoint.size}
    show(told, as_json, title="Receipt")


@app.command("entries")
def list_entries(
    start: Annotated[int, typer.Option(min=0, help="First index.")] = 0,
    count: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 20,
    log: LogDirectory = None,
    key: Key = "",
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Print published entries. Reading the deployment's own log is an entry itself."""
    directory, vkey = _log(log, key, home)
    reader = LogReader(directory, vkey)
    try:
        size = reader.checkpoint().size
        bodies = list(reader.entries(start, min(size, start + count)))
    except AuditError as error:
        raise NotFoundError("NOT_FOUND", str(error)) from None
    if log is None:
        _log_reading(home, "entries", start=start, count=len(bodies))
    rows = [{"index": start + i, **json.loads(body)} for i, body in enumerate(bodies)]
    if as_json:
        show(rows, as_json, title="Entries")
        return
    told = [
        {
            "index": row["index"],
            "kind": row["kind"],
            "entry": json.dumps(_rest(row), sort_keys=True),
        }
        for row in rows
    ]
    show(told, as_json, title="Entries")


@app.command("who")
def who_accessed(
    subject: Annotated[str, typer.Option("--subject", help="Identifier of the subject.")],
    reason: Annotated[str, typer.Option("--reason", help="Why you ask; it is logged.")],
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Print who asked about a subject, when, why and which fields, refusals included."""
    deployment = Deployment.open(home)
    secrets = deployment.secrets()
    opening = Opening("subject", subject.encode(), os.urandom(32))
    _log_reading(home, "accesses", opening=opening, reason=reason)
    with session(home) as opened:
        connection = opened.state.connect()
        found = who(connection, subject_label(secrets.index_key, subject))
        rows = [json.loads(read_bodies(connection, i, i + 1)[0][2]) | {"index": i} for i in found]
        connection.close()
    told = [
        {
            "entry": row["index"],
            "time": row["time"],
            "who": row.get("party", ""),
            "why": row.get("purpose", ""),
            "product": row.get("product", ""),
            "fields": ", ".join(sorted(chain.from_iterable(row.get("fields", {}).values()))),
            "refused": ", ".join(code for _, code in row.get("reasons", [])),
        }
        for row in rows
    ]
    show(told, as_json, title="Accesses")


@app.command("integrate")
def integrate(home: Home = HERE, as_json: AsJson = False) -> None:
    """Publish a checkpoint over everything that was committed; a running gateway does so itself."""
    with session(home) as opened:
        secrets, origin = opened.deployment.secrets(), opened.deployment.settings.log.origin
        signer = Ed25519Signer(origin, secrets.log_key)
        integrator = Integrator(
            opened.state.journal, opened.deployment.log_directory, origin, signer, now
        )
        try:
            checkpoint = integrator.integrate_all()
        except AuditError as error:
            raise UnavailableError("CHECKPOINT_PENDING", str(error)) from None
        finally:
            integrator.close()
    show({"size": checkpoint.size}, as_json, title="Checkpoint")


def _log(log: Path | None, key: str, home: Path) -> tuple[Path, str]:
    """Return directory and verifier key of a copy, or of the deployment's own log."""
    if log is not None:
        if not key:
            raise InvalidRequestError("BAD_REQUEST", "a copy is verified with --key VKEY")
        return log, key
    deployment = Deployment.open(home)
    return deployment.log_directory, deployment.log_vkey


def _log_reading(
    home: Path,
    what: str,
    *,
    start: int | None = None,
    count: int | None = None,
    opening: Opening | None = None,
    reason: str = "",
) -> None:
    with session(home) as opened:
        entry = entry_kinds.audit_read(
            time=opened.act.now,
            node=opened.act.node,
            actor=opened.act.actor,
            what=what,
            start=start,
            count=count,
            subject=None if opening is None else commit(opening),
            reason=reason,
        )
        store = OpeningStore(opened.deployment.secrets().opening_key)
        openings = {} if opening is None else {"subject": opening}
        opened.run(lambda tx: store.record(tx, tx.append(entry).index, openings, ()))


def _rest(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("index", "kind", "v")}
