"""`xinguan repair`: signed decisions, where records stand, how long it took, what came up."""

import asyncio
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.authorities import authority_key_path
from gateway.cli.console import (
    HERE,
    AsJson,
    Home,
    Session,
    instant,
    read_text,
    session,
    show,
)
from gateway.cli.descriptions import parse_instant, read_claims
from gateway.cli.refused import as_told
from gateway.config import ConfigError
from gateway.domain.errors import UnavailableError
from gateway.founding import CA_CERTIFICATE
from gateway.identity.keyfiles import read_document_key
from gateway.registry.act import CONSOLE
from gateway.registry.documents import explain_faults, sign
from gateway.repair import delays
from gateway.repair.decision import REPAIR_TYPE, Origin, Plan, RepairClaims, Verdict, read_decision

app = typer.Typer(help="Changes of shareability: sign, publish, look up.")

Gateway = Annotated[
    str, typer.Option("--gateway", help="HOST:PORT of a running gateway; its door is used.")
]
Party = Annotated[
    Path | None,
    typer.Option("--party", help="Folder of the authority's client.pem and client.key."),
]
ServerCa = Annotated[
    Path | None, typer.Option("--server-ca", help="Authority of the gateway's certificate.")
]


@app.command("sign")
def sign_decision(
    description: Annotated[
        Path | None, typer.Argument(help="Description: YAML, JSON or TOML; options fill gaps.")
    ] = None,
    product: Annotated[str, typer.Option(help="Product of the record.")] = "",
    record: Annotated[str, typer.Option(help="Record id.")] = "",
    verdict: Annotated[Verdict, typer.Option(help="What was decided.")] = Verdict.APPROVED,
    origin: Annotated[Origin, typer.Option(help="Who decided.")] = Origin.AUTHORITY,
    unit: Annotated[str, typer.Option(help="USCC of the deciding unit.")] = "",
    repair_id: Annotated[str, typer.Option(help="Stable id; drawn from the time if empty.")] = "",
    sequence: Annotated[int, typer.Option(min=0, help="0: microseconds of now.")] = 0,
    decided_at: Annotated[str, typer.Option(help="When; now by default.")] = "",
    ruling: Annotated[str, typer.Option(help="Number of the court's ruling.")] = "",
    ends_at: Annotated[str, typer.Option(help="End of a mask.")] = "",
    statement: Annotated[str, typer.Option(help="Statement instead of a mask.")] = "",
    plan: Annotated[Plan | None, typer.Option(help="How the plan ended.")] = None,
    dispute_id: Annotated[str, typer.Option(help="Number of the dispute.")] = "",
    authority_key: Annotated[
        Path | None, typer.Option(help="The authority's Ed25519 private key, PEM.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to put it; else it is printed.")] = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Sign a decision with the authority's key, the development one by default."""
    stamp = time.time_ns() // 1_000
    stated: dict[str, Any] = {
        "repair_id": repair_id or f"repair-{stamp}",
        "origin": origin.value,
        "sequence": sequence or stamp,
        "product": product,
        "record_id": record,
        "verdict": verdict.value,
        "deciding_unit": unit,
        "decided_at": parse_instant(decided_at) if decided_at else int(time.time()),
        "ruling": ruling,
        "ends_at": parse_instant(ends_at) if ends_at else None,
        "statement": statement,
        "plan": plan.value if plan else None,
        "dispute_id": dispute_id,
    }
    given = {name: value for name, value in stated.items() if value not in ("", None)}
    with session(home) as opened:
        key = read_document_key(authority_key_path(opened.deployment, authority_key))
    claims = _claims(description, given)
    token = sign(claims, key, REPAIR_TYPE)
    if out is not None:
        out.write_text(token + "\n", encoding="ascii")
    told = {"repair_id": claims.repair_id, "sequence": claims.sequence, "decision": token}
    if as_json or out is not None:
        show(told, as_json, title="Decision signed")
    else:
        print(token)


@app.command()
def publish(
    decision: Annotated[Path, typer.Argument(help="The signed decision, compact JWS.")],
    gateway: Gateway = "",
    party: Party = None,
    server_ca: ServerCa = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Apply a signed decision; it holds when this returns.

    With --gateway through a running gateway, as the authority whose certificate is given;
    without it on the deployment's state, and whoever serves that state confirms the change at its
    own gate first.
    """
    token = read_text(decision)
    if gateway:
        told = asyncio.run(_publish_through(gateway, token, party, server_ca, home))
    else:
        with session(home) as opened:
            told = asyncio.run(_publish_here(opened, token))
    show(told, as_json, title="Decision applied")


@app.command()
def status(home: Home = HERE, as_json: AsJson = False) -> None:
    """Show what was applied: sequences, delays from decision to effect, states, feeds."""
    with session(home) as opened:
        told = opened.run(lambda tx: _status(tx, opened.act.now))
    if as_json:
        show(told, as_json, title="Repairs")
        return
    show(told["origins"], as_json, title="Origins: delays from decision to effect, in ms")
    show(told["states"], as_json, title="Records by state")
    show(told["publicity"], as_json, title="Publicity feeds (R13)")
    print(f"applied decisions without a measured delay: {told['unmeasured']}")


@app.command("list")
def list_records(
    product: Annotated[str, typer.Option(help="Only this product.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """List records that anything was decided on, the newest first."""
    with session(home) as opened:
        rows = opened.run(
            lambda tx: tx.execute(
                "SELECT product, record_key, base, disputed, pending, masked, ended, origin,"
                " sequence, log_index, effective_at FROM record_states"
                " WHERE product = ? OR ? = '' ORDER BY log_index DESC LIMIT ?",
                (product, product, limit),
            ).fetchall()
        )
    told = [
        {
            "product": row[0],
            "record": row[1],
            "state": row[6] or ("TEMP_MASKED" if row[5] else row[2]),
            "disputed": bool(row[3]),
            "pending": bool(row[4]),
            "origin": row[7],
            "sequence": row[8],
            "entry": row[9],
            "since": instant(row[10]),
        }
        for row in rows
    ]
    show(told, as_json, title="Decided records")


@app.command()
def alarms(
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """List what a person should look at, the newest first; each is an entry of the log."""
    with session(home) as opened:
        rows = opened.run(
            lambda tx: tx.execute(
                "SELECT log_index, rule, code, product, records, raised_at FROM alarms"
                " ORDER BY log_index DESC LIMIT ?",
                (limit,),
            ).fetchall()
        )
    told = [
        {
            "entry": row[0],
            "rule": row[1],
            "code": row[2],
            "product": row[3],
            "records": row[4],
            "raised": instant(row[5]),
        }
        for row in rows
    ]
    show(told, as_json, title="Alarms")


def _claims(description: Path | None, given: dict[str, Any]) -> RepairClaims:
    if description is not None:
        return read_claims(description, RepairClaims, given)
    from pydantic import ValidationError

    from gateway.registry.documents import BadDocumentError

    try:
        return RepairClaims.model_validate(given)
    except ValidationError as error:
        raise BadDocumentError(explain_faults(error)) from None


async def _publish_here(opened: Session, token: str) -> dict[str, Any]:
    from gateway.cli.repair_parts import parts_of

    verified = read_decision(token, opened.deployment.authority_keys().get)
    parts = parts_of(opened)
    done = await parts.publisher.publish(verified, CONSOLE, opened.act.now)
    await parts.delays.close()
    return {
        "entry": done.appended.index,
        "repeated": done.repeated,
        "state": done.state.value,
        "withheld": done.withheld,
        "delay_ms": done.delay_ms,
        "through": "state",
    }


async def _publish_through(
    gateway: str, token: str, party: Path | None, server_ca: Path | None, home: Path
) -> dict[str, Any]:
    from xinguan.client import Client, Identity, RefusedError, TransportError

    folder = party or home / "parties" / "authority"
    authority = server_ca or home / "dev-authority" / CA_CERTIFICATE
    try:
        identity = Identity.load(folder / "client.pem", folder / "client.key", authority)
    except (OSError, ValueError):
        raise ConfigError(
            "NO_KEY",
            "the authority's certificate, its key or the gateway's authority can't be read",
            hints=("name them: --party DIR with client.pem and client.key, --server-ca FILE",),
        ) from None
    try:
        async with Client(gateway, identity) as client:
            done = await client.publish_repair(token.strip())
    except RefusedError as refusal:
        raise as_told(refusal) from None
    except TransportError:
        raise UnavailableError(
            "NO_GATEWAY",
            "no gateway answers at this address",
            hints=("check --gateway HOST:PORT and --server-ca",),
        ) from None
    return {
        "entry": done.entry.index,
        "repeated": done.repeated_decision,
        "state": done.state,
        "withheld": done.withheld,
        "delay_ms": done.delay_ms,
        "through": "gateway",
    }


def _status(tx: Any, now: int) -> dict[str, Any]:
    measured = {figure.origin: figure for figure in delays.figures(tx)}
    sequences = dict(tx.execute("SELECT origin, sequence FROM repair_sequences").fetchall())
    origins = []
    for origin in sorted({*measured, *sequences}):
        figure = measured.get(origin)
        origins.append(
            {
                "origin": origin,
                "newest_sequence": sequences.get(origin, 0),
                "measured": figure.measured if figure else 0,
                "p50_ms": figure.p50_ms if figure else None,
                "p99_ms": figure.p99_ms if figure else None,
                "worst_ms": figure.worst_ms if figure else None,
            }
        )
    states = tx.execute(
        "SELECT product, state, count(*) FROM (SELECT product, CASE WHEN ended IS NOT NULL"
        " THEN ended WHEN masked = 1 THEN 'TEMP_MASKED' ELSE base END AS state"
        " FROM record_states) AS standing GROUP BY product, state ORDER BY product, state"
    ).fetchall()
    publicity = tx.execute("SELECT product, as_of FROM feeds ORDER BY product").fetchall()
    return {
        "origins": origins,
        "states": [{"product": p, "state": s, "records": n} for p, s, n in states],
        "publicity": [
            {"product": p, "as_of": instant(t), "age_s": now - t if t else None}
            for p, t in publicity
        ],
        "unmeasured": delays.unmeasured(tx),
    }
