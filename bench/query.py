"""`Query` of one subject, 20 fields, against a bare grpcio echo under the same mutual TLS.

Both servers run in a process of their own; one client process makes the calls with 32
callers at a time. The gateway does everything that it always does: identity, decision, intent
durable before anything is read, snapshot look-up, enforcement, outcome durable before the
answer. What is printed as a ratio is calls a second of the gateway over calls a second of the
unary echo, measured in turns within the same run.
"""

import argparse
import asyncio
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import grpc
import pyarrow.compute as pc

from bench.machine import machine
from gateway.demo.cast import AGENCY
from gateway.demo.stage import Stage, set_stage
from gateway.deployment import Deployment
from xinguan.client import Client
from xinguan.v1 import exchange_pb2

FIELDS = (
    "uscc", "name", "name_en", "legal_rep_name", "entity_type", "established_on", "operating_to",
    "reg_status", "registered_capital", "registered_capital_currency", "address", "region_code",
    "province", "locality", "business_scope", "industry_code", "reg_authority",
    "reg_authority_uscc", "lei", "contact_phone",
)  # fmt: skip
CALLERS = 32
QUERY = {
    "purpose": "CREDIT_REPORT",
    "scenario": "ENTERPRISE_REPORT",
    "operator": "bench-1",
    "case_reference": "bench-case-1",
}


def echo_server(root: str, pipe: Connection) -> None:
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
        port = server.add_secure_port("127.0.0.1:0", credentials)
        await server.start()
        pipe.send(port)
        await server.wait_for_termination()

    asyncio.run(serve())


async def measure(call: object, seconds: float) -> tuple[float, list[float]]:
    """Return calls a second and the latencies of a closed loop of CALLERS callers."""
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def caller() -> None:
        while (began := time.perf_counter()) < end:
            await call()
            latencies.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return len(latencies) / (time.perf_counter() - began), latencies


async def run(stage: Stage, gateway: str, echo: str, seconds: float) -> dict[str, object]:
    """Measure echo, gateway, echo, gateway in turns and return the medians."""
    identity = stage.identity(AGENCY)
    channel = grpc.aio.secure_channel(echo, identity.credentials())
    payload = b"x" * 1_500
    unary = channel.unary_unary("/Echo/Unary")
    stream = channel.unary_stream("/Echo/Stream")
    client = Client(gateway, identity, sign=False)
    direct = grpc.aio.secure_channel(gateway, identity.credentials())
    query_bytes = direct.unary_stream("/xinguan.v1.ExchangeService/Query")
    rows = stage.loaded["legal_entity_base"].snapshot.batch(0).rows
    companies = rows.filter(pc.equal(rows.column("subject_type"), "LEGAL_ENTITY"))
    subjects = companies.column("uscc").to_pylist()
    # Requests are made before the clock runs: the echo's client doesn't make any either.
    requests = iter(
        [
            client.build_query(
                "legal_entity_base", FIELDS, subjects=[subjects[number % len(subjects)]], **QUERY
            ).SerializeToString()
            for number in range(int(5_000 * (1 + seconds)))
        ]
    )

    async def call_echo() -> None:
        await unary(payload)

    async def call_stream() -> None:
        async for _ in stream(payload):
            pass

    async def call_gateway() -> None:
        async for message in query_bytes(next(requests)):
            assert exchange_pb2.QueryResponse.FromString(message).outcome.rows == 1

    await measure(call_gateway, min(2.0, seconds))
    rates: dict[str, list[float]] = {"echo": [], "echo_stream": [], "query": []}
    slow: list[float] = []
    for _ in range(3):
        rates["echo"].append((await measure(call_echo, seconds / 2))[0])
        rates["echo_stream"].append((await measure(call_stream, seconds / 2))[0])
        rate, latencies = await measure(call_gateway, seconds)
        rates["query"].append(rate)
        slow += latencies
    await channel.close()
    await direct.close()
    await client.close()
    medians = {name: statistics.median(values) for name, values in rates.items()}
    slow.sort()
    return {
        "baseline": "bare grpcio unary echo, same mutual TLS, same run",
        "callers": CALLERS,
        "echo_calls_per_s": round(medians["echo"]),
        "echo_stream_calls_per_s": round(medians["echo_stream"]),
        "query_calls_per_s": round(medians["query"]),
        "ratio": round(medians["query"] / medians["echo"], 3),
        "ratio_to_stream": round(medians["query"] / medians["echo_stream"], 3),
        "p50_ms": round(slow[len(slow) // 2] * 1000, 1),
        "p99_ms": round(slow[int(len(slow) * 0.99)] * 1000, 1),
        "target": "ratio >= 0.25, p99 < 50 ms",
    }


def main(arguments: list[str] | None = None) -> dict[str, object]:
    """Run the benchmark and return its row."""
    parser = argparse.ArgumentParser(prog="bench.query", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds a turn")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "deployment"
        stage = set_stage(root, int(time.time()))
        with (stage.deployment.directory / "xinguan.toml").open("a") as settings:
            settings.write("\n[limits]\ncalls_per_second = 1000000\nrows_per_day = 100000000\n")
        receiver, sender = multiprocessing.Pipe(duplex=False)
        echo = multiprocessing.get_context("spawn").Process(
            target=echo_server, args=(str(root), sender), daemon=True
        )
        echo.start()
        program = Path(sys.executable).parent / "xinguan"
        command = [str(program), "serve", "--home", str(root), "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
            try:
                assert server.stdout is not None
                address = json.loads(server.stdout.readline())["listening"]
                row = asyncio.run(
                    run(stage, address, f"127.0.0.1:{receiver.recv()}", given.seconds)
                )
            finally:
                server.terminate()
                echo.terminate()
    print(json.dumps(row, indent=2) if given.json else _table(row))
    return row


def _table(row: dict[str, object]) -> str:
    return f"Query of one subject, {len(FIELDS)} fields ({machine()['text']})\n" + "\n".join(
        f"  {name:26} {value}" for name, value in row.items()
    )


if __name__ == "__main__":
    main()
