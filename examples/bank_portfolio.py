"""A bank reads a portfolio over Arrow Flight with pyarrow's own client, endpoints in parallel.

    python examples/bank_portfolio.py --target localhost:8443 --cert client.pem --key client.key \
        --ca ca.pem --portfolio codes.txt --out grades.parquet

The portfolio is a text file with one unified social credit code a line.
"""

import argparse
import secrets
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.flight as fl
import pyarrow.parquet as pq

from xinguan.client import Identity
from xinguan.signing import sign_request
from xinguan.v1 import exchange_pb2, types_pb2

FIELDS = ("uscc", "grade", "model_id", "model_version", "as_of", "valid_to")


def main() -> int:
    """Ask for a plan, read its tickets in parallel, print or keep the table."""
    words = _arguments()
    identity = Identity.load(words.cert, words.key, words.ca)
    query = build_query(identity, words.portfolio.read_text().split(), words.purpose)
    client = fl.FlightClient(
        f"grpc+tls://{words.target}",
        tls_root_certs=identity.authority.decode(),
        cert_chain=identity.certificate.decode(),
        private_key=identity.key.decode(),
    )
    try:
        info = client.get_flight_info(fl.FlightDescriptor.for_command(query.SerializeToString()))
        with ThreadPoolExecutor() as pool:
            parts = pool.map(lambda end: client.do_get(end.ticket).read_all(), info.endpoints)
            table = pa.concat_tables(parts)
    except fl.FlightError as error:
        # pyarrow shows the status message, which names the first reason and its clause.
        print(f"refused: {error}")
        return 1
    finally:
        client.close()
    print(f"rows: {table.num_rows} from {len(info.endpoints)} endpoint(s)")
    for field in table.schema:
        action = (field.metadata or {}).get(b"xinguan.action", b"label").decode()
        print(f"{field.name:<20} {action:<10} {field.type}")
    if words.out:
        pq.write_table(table, words.out)
    return 0


def build_query(
    identity: Identity, portfolio: list[str], purpose: str
) -> exchange_pb2.QueryRequest:
    """Return the signed question: the same message that gRPC callers send."""
    query = exchange_pb2.QueryRequest(
        context=types_pb2.RequestContext(
            idempotency_key=secrets.token_hex(16),
            purpose=purpose,
            scenario="CREDIT_LOAN",
            destination="CN",
            operator="modeller-3",
            case_reference="model-2026-01",
        ),
        product="public_credit_grade",
        fields=FIELDS,
        subjects=portfolio,
        subject_kind=types_pb2.SUBJECT_KIND_LEGAL_ENTITY,
    )
    query.context.time.FromNanoseconds(time.time_ns())
    query.context.signature = sign_request(query, identity.party_id, identity.key)
    return query


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--target", required=True, help="host:port of the gateway")
    parser.add_argument("--cert", required=True, type=Path, help="certificate, PEM")
    parser.add_argument("--key", required=True, type=Path, help="its private key, PEM")
    parser.add_argument("--ca", required=True, type=Path, help="the gateway's authority, PEM")
    parser.add_argument("--portfolio", required=True, type=Path, help="one code a line")
    parser.add_argument("--purpose", default="ENTERPRISE_CREDIT")
    parser.add_argument("--out", type=Path, help="Parquet file to write")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
