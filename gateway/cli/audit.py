"""`xinguan audit`: verify the log, prove an entry, read entries, see who asked about a subject."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from audit.errors import AuditError, NoteError, ProofError
from audit.note import Verifier
from audit.reader import LogReader
from audit.verify import check_proof, prove, verify_log
from gateway.cli import log_http, witness
from gateway.cli.audit_chain import chain_command
from gateway.cli.audit_destroy import approve_destruction, destroy, hold_app
from gateway.cli.audit_doctor import doctor
from gateway.cli.audit_evidence import evidence_command
from gateway.cli.audit_index import app as index_app
from gateway.cli.audit_reading import log_reading
from gateway.cli.audit_replay import replay_command
from gateway.cli.audit_samples import samples_command
from gateway.cli.audit_who import who, who_check
from gateway.cli.console import HERE, AsJson, Home, now, read_bytes, session, show
from gateway.cli.trust import Policy, TsaCertificates, trusted
from gateway.deployment import Deployment
from gateway.domain.errors import InvalidRequestError, NotFoundError, UnavailableError
from gateway.witnesses import deployment_policy, make_integrator

app = typer.Typer(help="The audit log: verify it, prove an entry, read it.")
app.command("who")(who)
app.command("who-check")(who_check)
app.command("destroy")(destroy)
app.command("approve-destruction")(approve_destruction)
app.command("doctor")(doctor)
app.add_typer(hold_app, name="hold")
app.add_typer(index_app, name="index")
app.add_typer(witness.app, name="witness")
app.command("serve")(log_http.serve)
app.command("stamp")(log_http.stamp)
app.command("replay")(replay_command)
app.command("chain")(chain_command)
app.command("evidence")(evidence_command)
app.command("samples")(samples_command)
LogDirectory = Annotated[
    Path | None, typer.Option("--log", help="A copy of the log instead of the deployment's.")
]
Key = Annotated[
    str,
    typer.Option(
        "--key", help="Verifier key of the log; a copy needs it, the own log may have it."
    ),
]


@app.command()
def verify(
    log: LogDirectory = None,
    key: Key = "",
    policy: Policy = None,
    tsa: TsaCertificates = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Verify every entry, every tile, the checkpoint and who vouches; name the first bad entry."""
    trust = trusted(policy, tsa, None if log is not None else home)
    directory, vkey = _log(log, key or trust.log_key, home)
    bar = Progress(
        TextColumn("verifying"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
    )
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
        "first bad entry": report.first_bad,
    }
    vouched, doubts = trust.told(directory, vkey, report, now())
    told |= vouched
    told["problems"] = [*[problem.message for problem in report.problems[:10]], *doubts]
    show(told, as_json, title="The log")
    if report.problems or doubts:
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
    """Write the receipt of an entry (C2SP tlog-proof) and the entry, and check both.

    Reading the deployment's own log is an entry itself.
    """
    directory, vkey = _log(log, key, home)
    reader = LogReader(directory, vkey)
    try:
        if index >= reader.checkpoint().size:
            raise ProofError("this entry is not in the published tree")
        if log is None:
            with session(home) as opened:
                log_reading(opened, "receipt", index, 1)
        receipt = prove(directory, index)
        entry = reader.entry(index)
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
    policy: Policy = None,
    as_json: AsJson = False,
) -> None:
    """Check a receipt without any deployment, and with a policy who vouches for it."""
    trust = trusted(policy, None, None)
    try:
        receipt, checkpoint = check_proof(read_bytes(proof), read_bytes(entry), key)
        witnessed = trust.receipt_told(receipt.checkpoint, key)
    except AuditError as error:
        raise InvalidRequestError("BAD_PROOF", str(error)) from None
    told = {"proved": True, "index": receipt.index, "log size": checkpoint.size} | witnessed
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
        with session(home) as opened:
            log_reading(opened, "entries", start, len(bodies))
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


@app.command("integrate")
def integrate(home: Home = HERE, as_json: AsJson = False) -> None:
    """Publish a checkpoint over everything that was committed; a running gateway does so itself."""
    with session(home) as opened:
        deployment = opened.deployment
        integrator = make_integrator(
            deployment,
            opened.state.journal,
            deployment.secrets(),
            deployment_policy(deployment),
            now,
        )
        try:
            checkpoint = integrator.integrate_all()
        except AuditError as error:
            raise UnavailableError("CHECKPOINT_PENDING", str(error)) from None
        finally:
            integrator.close()
    show({"size": checkpoint.size}, as_json, title="Checkpoint")


def _log(log: Path | None, key: str, home: Path) -> tuple[Path, str]:
    """Return directory and verifier key of a copy, or of the deployment's own log.

    A key that the caller gives counts wherever the log is: who holds it from elsewhere asks
    whether this is that log, and the deployment's own file can't answer that.

    Raises:
        InvalidRequestError: `BAD_REQUEST` without the key of a copy, `BAD_KEY`.
    """
    if log is None:
        deployment = Deployment.open(home)
        log, key = deployment.log_directory, key or deployment.log_vkey
    elif not key:
        raise InvalidRequestError("BAD_REQUEST", "a copy is verified with --key VKEY")
    try:
        Verifier.parse(key)
    except NoteError as error:
        raise InvalidRequestError("BAD_KEY", str(error)) from None
    return log, key


def _rest(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("index", "kind", "v")}
