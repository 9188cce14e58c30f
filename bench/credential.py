"""Credentials: made, issued over the whole road, verified, and their status published.

Made: one credential of ten fields, signed with ES256, ours beside the `sd-jwt` library in the same
run. Issued: over mutual TLS, by a gateway of one worker process and of two, to one caller and to
32 callers over a connection each, the client in a process of its own; measured in turns with two
baselines of the same run: `Query` for the same fields, which is the same road without the
credential, and the bare unary echo of one grpcio process. Of several turns the best and the median
are told, since whatever else the machine does makes a turn slower and never faster. Published: a
list of 1,048,576 entries of which a fifth were issued and a tenth of those are not valid, after one
more change; beside the bare compression of as many random bytes. Also the worst case, a list of
random statuses. `cpu_ms` is processor time: what the wall clock says holds for the load of the
machine at that moment, which `load` tells.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import grpc
import pyarrow.compute as pc
from google.protobuf.message import Message
from jwcrypto.jwk import JWK
from sd_jwt.common import SDObj
from sd_jwt.issuer import SDJWTIssuer
from sd_jwt.verifier import SDJWTVerifier

from bench.machine import machine
from bench.query import (
    CALLERS,
    Call,
    Connections,
    measure,
    serving,
    start_echoes,
)
from gateway.credential import book
from gateway.credential.encoding import decode, object_from_json
from gateway.credential.jws import Signer, to_jwk
from gateway.credential.metadata import issuer_document
from gateway.credential.mint import Head, mint
from gateway.credential.publication import ListPublication
from gateway.credential.status_list import (
    CredentialStatus,
    ReadList,
    StatusBits,
    Times,
    list_token,
    unpack,
)
from gateway.credential.verify import Checks, Trust, verify
from gateway.credential_settings import CredentialSettings
from gateway.demo.cast import PARTNER, WHITELIST
from gateway.demo.stage import Stage, set_stage
from gateway.deployment import Deployment
from gateway.identity.keyfiles import new_tls_key, private_pem
from gateway.store.state import State
from xinguan.client import Client
from xinguan.v1 import credential_pb2, exchange_pb2

ISSUER = "https://credentials.example.org"
ENTRIES = 1 << 20
TURNS = 3
FIELDS = tuple(name for name in WHITELIST if name != "dispute_flag")
VALUES = {f"field_{number}": f"示例 value {number}" for number in range(10)}
WORDS = {
    "purpose": "TRADE", "scenario": "MUTUAL_RECOGNITION", "destination": "SG",
    "operator": "bench", "case_reference": "bench",
}  # fmt: skip
_ISSUE = "/xinguan.v1.CredentialService/Issue"
_QUERY = "/xinguan.v1.ExchangeService/Query"


def made(count: int) -> dict[str, object]:
    """Measure making and verifying one credential, ours and the library's in turns."""
    key = new_tls_key()
    signer, now = Signer.of(key), int(time.time())
    public = to_jwk(key.public_key())
    jwk = {**public, "kid": signer.kid, "alg": signer.algorithm}
    trust = Trust.of(issuer_document(ISSUER, [jwk]))
    status = list_token(signer, f"{ISSUER}/statuslists/1", StatusBits(ENTRIES), Times(now, 60, 600))
    head = Head(ISSUER, "0" * 32, "v", "i", now, now + 600, f"{ISSUER}/statuslists/1", 5, {})
    foreign = JWK.from_pem(private_pem(key))
    claims = {"iss": ISSUER, "exp": now + 600} | {SDObj(k): v for k, v in VALUES.items()}
    text = mint(signer, head, VALUES)
    theirs = SDJWTIssuer(claims, foreign).sd_jwt_issuance
    took: dict[str, list[float]] = {}
    jobs: dict[str, Callable[[], object]] = {
        "mint": lambda: mint(signer, head, VALUES),
        "mint_sd_jwt": lambda: SDJWTIssuer(claims, foreign).sd_jwt_issuance,
        "verify": lambda: verify(text, trust, Checks(now)),
        "verify_with_list": lambda: verify(text, trust, Checks(now, status_list=status)),
        "verify_sd_jwt": lambda: SDJWTVerifier(theirs, lambda *_: foreign).get_verified_payload(),
    }
    for _ in range(count):
        for name, job in jobs.items():
            began = time.perf_counter()
            job()
            took.setdefault(name, []).append(time.perf_counter() - began)
    medians = {name: statistics.median(each) * 1000 for name, each in took.items()}
    row: dict[str, object] = {f"{name}_ms": round(value, 3) for name, value in medians.items()}
    row["mint_to_sd_jwt"] = round(medians["mint"] / medians["mint_sd_jwt"], 2)
    row["verify_to_sd_jwt"] = round(medians["verify"] / medians["verify_sd_jwt"], 2)
    return row


async def issued(
    stage: Stage, workers: int, echo: str, count: int, seconds: float
) -> dict[str, object]:
    """Measure issuing beside asking for the same, and beside a bare echo, in turns.

    Args:
        stage: The deployment.
        workers: Processes of the gateway.
        echo: Address of the echo.
        count: Calls of the one caller, each turn.
        seconds: How long the callers call, each turn.
    """
    with serving(stage.deployment.root, workers) as address:
        calls = Calls(stage, address, echo)
        await measure(calls.issue, seconds / 2)
        alone: dict[str, list[float]] = {}
        rates: dict[str, list[float]] = {}
        slow: dict[str, list[float]] = {}
        for _ in range(TURNS):
            for name, call in calls.named.items():
                alone.setdefault(name, []).extend(await one_after_another(call, count))
            for name, call in calls.named.items():
                rate, latencies = await measure(call, seconds)
                rates.setdefault(name, []).append(rate)
                slow.setdefault(name, []).extend(latencies)
        await calls.close()
    row: dict[str, object] = {}
    for name in calls.named:
        one, many = sorted(alone[name]), sorted(slow[name])
        row[name] = {
            "one_caller_p50_ms": _ms(one, 0.5),
            "one_caller_p99_ms": _ms(one, 0.99),
            "one_caller_fastest_tenth_ms": _ms(one, 0.1),
            "per_s": round(statistics.median(rates[name])),
            "per_s_best": round(max(rates[name])),
            "p50_ms": _ms(many, 0.5),
            "p99_ms": _ms(many, 0.99),
        }
    row["asked_again"] = calls.asked_again
    of = {name: statistics.median(each) for name, each in rates.items()}
    row["issue_to_query"] = round(of["issue"] / of["query"], 2)
    row["issue_to_echo"] = round(of["issue"] / of["echo"], 3)
    return row


def _ms(latencies: list[float], share: float) -> float:
    return round(latencies[int(len(latencies) * share)] * 1000, 2)


async def one_after_another(call: Call, count: int) -> list[float]:
    """Return what each of so many calls of one caller took, in seconds."""
    took = []
    for _ in range(count):
        began = time.perf_counter()
        await call()
        took.append(time.perf_counter() - began)
    return took


class Calls:
    """The calls that are measured, each over the connections to its server in turn."""

    def __init__(self, stage: Stage, address: str, echo: str) -> None:
        identity = stage.identity(PARTNER)
        rows = stage.loaded["legal_entity_base"].snapshot.batch(0).rows
        companies = rows.filter(pc.equal(rows.column("subject_type"), "LEGAL_ENTITY"))
        self._subjects = itertools.cycle(companies.column("uscc").to_pylist())
        self._client = Client(address, identity, sign=False)
        self._gateway = Connections(address, identity)
        self._bare = Connections(echo, identity)
        self.asked_again = 0
        self.named: dict[str, Call] = {
            "echo": self.echo, "query": self.query, "issue": self.issue,
        }  # fmt: skip

    async def echo(self) -> None:
        """Call the bare echo."""
        await self._bare.next().unary_unary("/Echo/Unary")(b"x" * 1_500)

    async def query(self) -> None:
        """Ask for a company's fields."""
        await self._ask(_QUERY, self._built)

    async def issue(self) -> None:
        """Ask for the same as a credential."""
        await self._ask(_ISSUE, lambda: credential_pb2.IssueRequest(query=self._built()))

    async def _ask(self, method: str, build: Callable[[], Message]) -> None:
        """Ask once, and again as a refusal says where the machine kept a lease from renewal."""
        while True:
            answer = self._gateway.next().unary_stream(method)(build().SerializeToString())
            try:
                assert [part async for part in answer]
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                self.asked_again += 1
            else:
                return

    def _built(self) -> exchange_pb2.QueryRequest:
        subject = next(self._subjects)
        return self._client.build_query("legal_entity_base", FIELDS, subjects=[subject], **WORDS)

    async def close(self) -> None:
        """Close the connections."""
        for connections in (self._gateway, self._bare):
            await connections.close()
        await self._client.close()


async def published_while_serving(stage: Stage) -> dict[str, float]:
    """Return how soon a change is in the list that a gateway publishes."""
    with serving(stage.deployment.root, 1):
        return await in_the_list(Deployment.open(stage.deployment.root))


async def in_the_list(deployment: Deployment) -> dict[str, float]:
    """Return how long after its commit a change stands in the list that a gateway publishes."""
    path = deployment.directory / deployment.settings.files.credentials / "statuslists/1"
    state, took = deployment.open_state(), []
    sql = "SELECT credential_id, place FROM credentials WHERE status = 0 LIMIT 15"
    for one, place in state.run(lambda tx: tx.execute(sql).fetchall()):
        state.run(lambda tx, one=one: book.change_status(tx, [one], CredentialStatus.REFRESH, 2))
        began = time.perf_counter()
        while published_status(path.read_text(), place) == 0:  # noqa: ASYNC110 - a file, no event
            await asyncio.sleep(0.002)
        took.append((time.perf_counter() - began) * 1000)
    state.close()
    return {"p50_ms": round(statistics.median(took)), "slowest_ms": round(max(took))}


def published_status(token: str, place: int) -> int:
    """Return what a published list says, its signature left aside."""
    content = object_from_json(decode(token.split(".")[1]))["status_list"]
    packed = unpack(content["lst"], content["bits"])
    return ReadList("", 0, None, None, content["bits"], packed).status(place)


def published(folder: Path, changes: int) -> dict[str, object]:
    """Measure the publication of a list after one change."""
    state = State.open(folder / "state.sqlite3")
    settings = CredentialSettings(issuer=ISSUER, list_entries=ENTRIES)
    places = random.sample(range(ENTRIES), ENTRIES // 5)

    def fill(tx: object) -> None:
        book.ensure_list(tx, ENTRIES)
        for number, place in enumerate(places):
            status, changed = (3, 1) if number % 10 == 0 else (0, 0)
            tx.execute(
                "INSERT INTO credentials (credential_id, list, place, party_id, product, subject,"
                " snapshot, source_columns, content, issued_at, expires_at, log_index, status,"
                " status_at, changed)"
                " VALUES (?, 1, ?, 'p', 'x', ?, 's', '[]', '', 0, 9, 0, ?, 0, ?)",
                (f"{number:032x}", place, f"s{number}", status, changed),
            )

    state.run(fill)
    reader = state.connect()
    signer = Signer.of(new_tls_key())
    publication = ListPublication(folder / "public", signer, settings)
    began = time.perf_counter()
    publication.publish(reader, 1_000)
    first = time.perf_counter() - began
    took, cpu = [], time.process_time()
    for number in range(changes):
        one = f"{number * 10 + 1:032x}"
        began = time.perf_counter()
        state.run(lambda tx, one=one: book.change_status(tx, [one], CredentialStatus.REFRESH, 2))
        assert publication.publish(reader, 1_001) == 1
        took.append(time.perf_counter() - began)
    cpu_ms = (time.process_time() - cpu) * 1000 / changes
    reader.close()
    state.close()
    token = (folder / "public/statuslists/1").read_bytes()
    worst = StatusBits(ENTRIES)
    worst.put((place, random.choice((0, 1, 3))) for place in range(ENTRIES))
    began = time.perf_counter()
    full = list_token(signer, "u", worst, Times(0, 1, 2))
    worst_s = time.perf_counter() - began
    plain = random.Random(1).randbytes(ENTRIES // 4)
    began = time.perf_counter()
    zlib.compress(plain, 9)
    baseline = time.perf_counter() - began
    return {
        "entries": ENTRIES,
        "after_a_change_cpu_ms": round(cpu_ms, 1),
        "after_a_change_ms": round(statistics.median(took) * 1000, 1),
        "slowest_ms": round(max(took) * 1000, 1),
        "first_ms": round(first * 1000, 1),
        "token_kb": round(len(token) / 1024, 1),
        "random_list_ms": round(worst_s * 1000, 1),
        "random_list_kb": round(len(full) / 1024, 1),
        "baseline_zlib_of_random_ms": round(baseline * 1000, 1),
        "random_to_baseline": round(worst_s / baseline, 2),
    }


def main(arguments: list[str] | None = None) -> dict[str, object]:
    """Run the benchmark and return its row."""
    parser = argparse.ArgumentParser(prog="bench.credential", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="of single calls")
    parser.add_argument("--seconds", type=float, default=1.5, help="of several callers, a turn")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "deployment"
        stage = set_stage(root, int(time.time()), companies=300)
        settings = stage.deployment.directory / "xinguan.toml"
        limits = "\n[limits]\ncalls_per_second = 100000\n"
        settings.write_text(
            settings.read_text() + f'\n[credentials]\nissuer = "{ISSUER}"\n' + limits
        )
        row: dict[str, object] = {
            "target": "issued < 5 ms each, 200/s; 1 M entries published < 1 s after a change",
            "baselines": "Query for the same fields; bare grpcio unary echo; same mutual TLS",
            "callers": CALLERS,
            "made": made(given.count),
        }
        echoes, echo = start_echoes(root, 1)
        try:
            for workers in given.workers:
                road = issued(stage, workers, echo, given.count // TURNS, given.seconds)
                row[f"road_with_{workers}_workers"] = asyncio.run(road)
        finally:
            for process in echoes:
                process.terminate()
        row["in_the_list"] = asyncio.run(published_while_serving(stage))
        row["status_list"] = published(Path(scratch), 10)
    row["machine"] = machine()["text"]
    row["load"] = round(os.getloadavg()[0], 1)
    print(json.dumps(row, indent=2) if given.json else _table(row))
    return row


def _table(row: dict[str, object]) -> str:
    lines = [f"Credentials ({row['machine']}; load {row['load']})", f"  target: {row['target']}"]
    for name, found in row.items():
        if isinstance(found, dict):
            lines.append(f"  {name}")
            lines += [f"    {key:28} {value}" for key, value in found.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
