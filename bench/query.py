"""`Query` of one subject, 20 fields, against a bare grpcio echo under the same mutual TLS.

The gateway serves with one worker process and with two, on one port; the echo with as many. One
client process makes the calls with 32 callers at a time, each over a connection of its own, since
a connection stays with the worker that accepted it. The gateway does everything that it always
does: identity, decision, intent durable before anything is read, snapshot look-up, enforcement,
outcome durable before the answer. What is printed as a ratio is calls a second of the gateway over
calls a second of the unary echo of one process, measured in turns within the same run;
`ratio_alike` is over an echo with as many processes as the gateway has, `ratio_to_stream` over one
that streams its answer, as `Query` does. With all callers always waiting, a call takes what the
others before it take; what fewer callers see is told by `by_callers`, and what all 32 see who call
at fixed times, together at half of the rate that was measured, by `at_half_the_rate`: there a call
counts from when it should have begun, whether the one before it was late or not.
"""

import argparse
import asyncio
import itertools
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import grpc
import pyarrow.compute as pc

from bench.machine import machine
from gateway.demo.cast import AGENCY
from gateway.demo.stage import Stage, set_stage
from gateway.deployment import Deployment
from xinguan.client import Client, Identity
from xinguan.v1 import exchange_pb2

FIELDS = (
    "uscc", "name", "name_en", "legal_rep_name", "entity_type", "established_on", "operating_to",
    "reg_status", "registered_capital", "registered_capital_currency", "address", "region_code",
    "province", "locality", "business_scope", "industry_code", "reg_authority",
    "reg_authority_uscc", "lei", "contact_phone",
)  # fmt: skip
CALLERS = 32
FEWER_CALLERS = (1, 4, 8, 16)
Call = Callable[[], Awaitable[None]]
QUERY = {
    "purpose": "CREDIT_REPORT",
    "scenario": "ENTERPRISE_REPORT",
    "operator": "bench-1",
    "case_reference": "bench-case-1",
}


def echo_server(root: str, port: int, pipe: Connection) -> None:
    """Serve a bare echo, unary and streaming, under the deployment's own TLS."""

    async def serve() -> None:
        tls = Deployment.open(Path(root)).tls()
        server = grpc.aio.server()

        async def unary(request: bytes, _context: object) -> bytes:
            return request

        async def stream(request: bytes, _context: object) -> object:
            yield request

        handlers = {
            "Unary": grpc.unary_unary_rpc_method_handler(unary),
            "Stream": grpc.unary_stream_rpc_method_handler(stream),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Echo", handlers),))
        credentials = grpc.ssl_server_credentials(
            [(tls.key, tls.certificate)], tls.client_ca, require_client_auth=True
        )
        bound = server.add_secure_port(f"127.0.0.1:{port}", credentials)
        await server.start()
        pipe.send(bound)
        await server.wait_for_termination()

    asyncio.run(serve())


async def measure(call: Call, seconds: float, callers: int = CALLERS) -> tuple[float, list[float]]:
    """Return calls a second and the latencies of a closed loop of so many callers."""
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def caller() -> None:
        while (began := time.perf_counter()) < end:
            await call()
            latencies.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return len(latencies) / (time.perf_counter() - began), latencies


async def measure_paced(call: Call, rate: float, seconds: float) -> tuple[float, list[float]]:
    """Return calls a second and the latencies of all callers at fixed times, `rate` in all."""
    latencies: list[float] = []
    began = time.perf_counter()

    async def caller(number: int) -> None:
        for turn in itertools.count():
            due = began + (number + turn * CALLERS) / rate
            if due > began + seconds:
                return
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            await call()
            latencies.append(time.perf_counter() - due)

    await asyncio.gather(*(caller(number) for number in range(CALLERS)))
    return len(latencies) / (time.perf_counter() - began), latencies


class Connections:
    """As many connections to one server as there are callers, used in turn."""

    def __init__(self, address: str, identity: Identity) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        self.channels = [
            grpc.aio.secure_channel(address, identity.credentials(), options=options)
            for _ in range(CALLERS)
        ]
        self._turn = itertools.cycle(self.channels)

    def next(self) -> grpc.aio.Channel:
        """Return the connection whose turn it is."""
        return next(self._turn)

    async def close(self) -> None:
        """Close all of them."""
        for channel in self.channels:
            await channel.close()


async def run(
    stage: Stage, gateway: str, echoes: dict[int, str], workers: int, seconds: float
) -> dict[str, object]:
    """Measure echoes and gateway in turns and return the medians."""
    identity = stage.identity(AGENCY)
    payload = b"x" * 1_500
    servers = {count: Connections(address, identity) for count, address in echoes.items()}
    client = Client(gateway, identity, sign=False)
    direct = Connections(gateway, identity)
    rows = stage.loaded["legal_entity_base"].snapshot.batch(0).rows
    companies = rows.filter(pc.equal(rows.column("subject_type"), "LEGAL_ENTITY"))
    subjects = companies.column("uscc").to_pylist()
    # Requests are made before the clock runs: the echo's client doesn't make any either.
    requests = iter(
        [
            client.build_query(
                "legal_entity_base", FIELDS, subjects=[subjects[number % len(subjects)]], **QUERY
            ).SerializeToString()
            for number in range(int(6_000 * (1 + seconds)))
        ]
    )

    def call_echo(count: int) -> Call:
        calls = itertools.cycle([one.unary_unary("/Echo/Unary") for one in servers[count].channels])

        async def call() -> None:
            await next(calls)(payload)

        return call

    async def call_stream() -> None:
        async for _ in servers[1].next().unary_stream("/Echo/Stream")(payload):
            pass

    queries = itertools.cycle(
        [one.unary_stream("/xinguan.v1.ExchangeService/Query") for one in direct.channels]
    )

    async def call_gateway() -> None:
        async for message in next(queries)(next(requests)):
            assert exchange_pb2.QueryResponse.FromString(message).outcome.rows == 1

    await measure(call_gateway, min(2.0, seconds))
    rates: dict[str, list[float]] = {"echo": [], "echo_stream": [], "echo_alike": [], "query": []}
    slow: list[float] = []
    for _ in range(3):
        rates["echo"].append((await measure(call_echo(1), seconds / 2))[0])
        rates["echo_stream"].append((await measure(call_stream, seconds / 2))[0])
        if workers > 1:
            rates["echo_alike"].append((await measure(call_echo(workers), seconds / 2))[0])
        rate, latencies = await measure(call_gateway, seconds)
        rates["query"].append(rate)
        slow += latencies
    by_callers = {
        callers: _told(*await measure(call_gateway, seconds / 2, callers))
        for callers in FEWER_CALLERS
    }
    half = statistics.median(rates["query"]) / 2
    paced = _told(*await measure_paced(call_gateway, half, 2 * seconds))
    for connections in (*servers.values(), direct):
        await connections.close()
    await client.close()
    rates["echo_alike"] = rates["echo_alike"] or rates["echo"]
    medians = {name: statistics.median(values) for name, values in rates.items()}
    told = _told(medians["query"], slow)
    return {
        "workers": workers,
        "echo_calls_per_s": round(medians["echo"]),
        "echo_stream_calls_per_s": round(medians["echo_stream"]),
        "echo_alike_calls_per_s": round(medians["echo_alike"]),
        "query_calls_per_s": told.pop("calls_per_s"),
        "ratio": round(medians["query"] / medians["echo"], 3),
        "ratio_to_stream": round(medians["query"] / medians["echo_stream"], 3),
        "ratio_alike": round(medians["query"] / medians["echo_alike"], 3),
        **told,
        "at_half_the_rate": paced,
        "by_callers": by_callers,
    }


def _told(rate: float, latencies: list[float]) -> dict[str, float]:
    ordered = sorted(latencies)
    return {
        "calls_per_s": round(rate),
        "p50_ms": round(ordered[len(ordered) // 2] * 1000, 1),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)] * 1000, 1),
    }


def start_echoes(root: Path, count: int) -> tuple[list[multiprocessing.process.BaseProcess], str]:
    """Start an echo of so many processes on one port; return them and the address."""
    spawn = multiprocessing.get_context("spawn")
    started: list[multiprocessing.process.BaseProcess] = []
    port = 0
    for _ in range(count):
        receiver, sender = multiprocessing.Pipe(duplex=False)
        echo = spawn.Process(target=echo_server, args=(str(root), port, sender), daemon=True)
        echo.start()
        started.append(echo)
        port = receiver.recv()
    return started, f"127.0.0.1:{port}"


def main(arguments: list[str] | None = None) -> dict[str, object]:
    """Run the benchmark and return its row."""
    parser = argparse.ArgumentParser(prog="bench.query", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds a turn")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    row: dict[str, object] = {
        "baseline": "bare grpcio unary echo of one process, same mutual TLS, same run",
        "callers": CALLERS,
        "target": "ratio >= 0.25, p99 < 50 ms",
    }
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "deployment"
        stage = set_stage(root, int(time.time()))
        with (stage.deployment.directory / "xinguan.toml").open("a") as settings:
            settings.write("\n[limits]\ncalls_per_second = 1000000\nrows_per_day = 100000000\n")
        started = {count: start_echoes(root, count) for count in {1, *given.workers}}
        echoes = {count: address for count, (_, address) in started.items()}
        try:
            for workers in given.workers:
                with serving(root, workers) as address:
                    found = asyncio.run(run(stage, address, echoes, workers, given.seconds))
                row |= found if workers == 1 else {f"{workers}_workers": found}
        finally:
            for processes, _ in started.values():
                for process in processes:
                    process.terminate()
    print(json.dumps(row, indent=2) if given.json else _table(row))
    return row


@contextmanager
def serving(root: Path, workers: int, *words: str) -> Iterator[str]:
    """Serve a deployment with so many workers and give the address."""
    program = Path(sys.executable).parent / "xinguan"
    command = [str(program), "serve", "--home", str(root), "--json", "--workers", str(workers)]
    with subprocess.Popen(
        [*command, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as server:
        try:
            assert server.stdout is not None
            yield json.loads(server.stdout.readline())["listening"]
        finally:
            server.terminate()


def _table(row: dict[str, object]) -> str:
    return f"Query of one subject, {len(FIELDS)} fields ({machine()['text']})\n" + "\n".join(
        f"  {name:26} {value}" for name, value in row.items()
    )


if __name__ == "__main__":
    main()
