"""`xinguan serve` is killed under load, again and again; then callers' records meet the log.

    python -m tests.fault.gateway_kill [--rounds N] [--seed N] [--json]

Each round a gateway serves a deployment in a process of its own, callers ask over mutual TLS
(single subjects, streams of many batches, questions that are refused), and at a random moment
the process gets `kill -9`. At the end: every promise that any caller holds is kept, every byte
that any caller received is what a durable entry commits to and has a durable intent, every
checkpoint ever seen is a prefix of the final log, and the log verifies.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from audit.checkpoint import Checkpoint
from audit.errors import NoteError
from audit.integrator import LEASE_S, Integrator
from audit.note import Ed25519Signer
from audit.reader import LogReader
from audit.verify import verify_log
from gateway.demo.stage import Stage, set_stage
from tests.fault.gateway_check import LogOfGateway, Verdict, check_calls
from tests.fault.gateway_load import Load, Seen, load_until
from tests.fault.nodes import PATIENT

_LONGEST_S = 1.5
_SHOWN = 20


def start(stage: Stage) -> tuple[subprocess.Popen[bytes], str]:
    """Start a gateway and return its process and address."""
    command = [sys.executable, "-m", "tests.fault.serve_small_batches", "serve"]
    server = subprocess.Popen(
        [*command, "--home", str(stage.deployment.root), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
    )
    assert server.stdout is not None
    line = server.stdout.readline()
    if not line:
        raise RuntimeError(f"the gateway did not start again: exit code {server.wait()}")
    return server, json.loads(line)["listening"]


def kill_round(stage: Stage, dice: random.Random, *, in_order: bool = False) -> list[Seen]:
    """Serve, load, and end it at a random moment: by `kill -9`, or in order."""
    server, address = start(stage)
    try:

        async def drive() -> list[Seen]:
            load = Load(stage, address, dice)
            end = load.stop if in_order else server.kill
            await load_until(load, dice.uniform(0, _LONGEST_S), end, enough=in_order)
            return load.seen

        return asyncio.run(drive())
    finally:
        if in_order:
            server.terminate()
        else:
            server.kill()
        server.wait(60)
        if server.stdout is not None:
            server.stdout.close()


def checkpoint_now(stage: Stage) -> Checkpoint | None:
    """Return the checkpoint that a killed gateway left, verified; None before the first."""
    try:
        return LogReader(stage.deployment.log_directory, stage.deployment.log_vkey).checkpoint()
    except NoteError:
        if (stage.deployment.log_directory / "checkpoint").exists():
            raise
        return None


def finish(stage: Stage, checkpoints: list[Checkpoint]) -> list[str]:
    """Publish what the last gateway left, as its successor does; return what does not hold."""
    deployment = stage.deployment
    state = deployment.open_state()
    origin = deployment.settings.log.origin
    signer = Ed25519Signer(origin, deployment.secrets().log_key)
    integrator = Integrator(
        state.journal,
        deployment.log_directory,
        origin,
        signer,
        lambda: int(time.time()) + LEASE_S + 1,
    )
    integrator.integrate_all()
    integrator.close()
    state.close()
    problems = []
    for known in checkpoints:
        report = verify_log(deployment.log_directory, deployment.log_vkey, known=known)
        problems += [f"{each.message} ({each.index})" for each in report.problems]
    published = list(LogReader(deployment.log_directory).entries(0, _size(stage)))
    log = LogOfGateway(deployment)
    if published != log.bodies:
        problems.append("the published log is not what the sequencer holds")
    log.close()
    return problems


def _size(stage: Stage) -> int:
    return LogReader(stage.deployment.log_directory).checkpoint().size


def run(root: Path, rounds: int, seed: int) -> tuple[Verdict, list[Seen], Stage]:
    """Run all rounds on one deployment; return what they left, as checked and as seen."""
    dice = random.Random(seed)  # noqa: S311 - moments, no secrets
    stage = set_stage(root, int(time.time()))
    with (stage.deployment.directory / "xinguan.toml").open("a") as settings:
        settings.write(f"\n[limits]{PATIENT}")
    calls: list[Seen] = []
    checkpoints: list[Checkpoint] = []
    for _ in range(rounds):
        calls += kill_round(stage, dice)
        left = checkpoint_now(stage)
        checkpoints += [left] if left is not None else []
    calls += kill_round(stage, dice, in_order=True)
    log = LogOfGateway(stage.deployment)
    verdict = check_calls(log, calls)
    log.close()
    verdict.problems += finish(stage, checkpoints)
    return verdict, calls, stage


def main(arguments: list[str] | None = None) -> int:
    """Run it; 1 when anything does not hold."""
    parser = argparse.ArgumentParser(prog="gateway_kill", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=30, help="how often the gateway is killed")
    parser.add_argument("--seed", type=int, default=1, help="the moments depend on it")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        verdict, _, _ = run(Path(scratch) / "home", given.rounds, given.seed)
    told = {"fault": "gateway_kill", "kills": given.rounds, **asdict(verdict)}
    print(json.dumps(told) if given.json else _text(given.rounds, verdict))  # noqa: T201 - its output
    return 1 if verdict.problems or not verdict.cut else 0


def _text(rounds: int, verdict: Verdict) -> str:
    facts: dict[str, Any] = asdict(verdict)
    problems = facts.pop("problems")
    lines = [f"gateway: kill -9 under load, {rounds} times"]
    lines += [f"  {name.replace('_', ' '):16} {value:>8,}" for name, value in facts.items()]
    lines += [f"  ! {each}" for each in problems[:_SHOWN]]
    lines.append(f"kills {rounds}, promises broken or bytes without an intent: {len(problems)}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
