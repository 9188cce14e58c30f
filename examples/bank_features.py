"""A bank uploads a portfolio with observation dates and reads its features, point in time.

    python examples/bank_features.py --target localhost:8443 --cert client.pem --key client.key \
        --ca ca.pem --portfolio portfolio.csv --out features.parquet

The portfolio is a CSV file with the columns `subject` and `observed_on` (YYYY-MM-DD).
"""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.flight as fl
import pyarrow.parquet as pq

from xinguan.client import Client, Identity
from xinguan.v1 import exchange_pb2, types_pb2

PRODUCT = "credit_loan_features"
FIELDS = ("uscc", "observed_on", "penalties_12m", "active_licences", "serious_list_hit")
WORDS = {
    "purpose": "ENTERPRISE_CREDIT",
    "scenario": "CREDIT_LOAN",
    "operator": "modeller-3",
    "case_reference": "model-2026-01",
}


def main() -> int:
    """Upload, plan, read the endpoints in parallel, print or keep the table."""
    words = _arguments()
    identity = Identity.load(words.cert, words.key, words.ca)
    types = {"subject": pa.string(), "observed_on": pa.date32()}
    options = pyarrow.csv.ConvertOptions(column_types=types, include_columns=list(types))
    observations = pyarrow.csv.read_csv(words.portfolio, convert_options=options)
    client = fl.FlightClient(
        f"grpc+tls://{words.target}",
        tls_root_certs=identity.authority.decode(),
        cert_chain=identity.certificate.decode(),
        private_key=identity.key.decode(),
    )
    try:
        query = Client(words.target, identity).build_query(
            PRODUCT, FIELDS, portfolio=upload(client, observations), **WORDS
        )
        info = client.get_flight_info(fl.FlightDescriptor.for_command(query.SerializeToString()))
        told = exchange_pb2.DecisionSummary.FromString(info.app_metadata).coverage.portfolio
        print(f"observations: {told.observations}, hit rate: {told.hit_rate:.2f}")
        for name, share in sorted(told.sources.items()):
            print(f"  {name}: {share:.2f}")
        print(told.bias)
        with ThreadPoolExecutor() as pool:
            parts = pool.map(lambda end: client.do_get(end.ticket).read_all(), info.endpoints)
            table = pa.concat_tables(parts)
    except fl.FlightError as error:
        print(f"refused: {error}")
        return 1
    finally:
        client.close()
    print(f"rows: {table.num_rows} from {len(info.endpoints)} endpoint(s)")
    if words.out:
        pq.write_table(table, words.out)
    return 0


def upload(client: fl.FlightClient, observations: pa.Table) -> str:
    """Return the handle of an uploaded portfolio."""
    command = exchange_pb2.PortfolioUpload(subject_kind=types_pb2.SUBJECT_KIND_LEGAL_ENTITY)
    descriptor = fl.FlightDescriptor.for_command(command.SerializeToString())
    writer, answers = client.do_put(descriptor, observations.schema)
    writer.write_table(observations, max_chunksize=65_536)
    writer.done_writing()
    answer = answers.read()
    writer.close()
    receipt = exchange_pb2.PortfolioReceipt.FromString(answer.to_pybytes())
    return receipt.portfolio


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--target", required=True, help="host:port of the gateway")
    parser.add_argument("--cert", required=True, type=Path, help="certificate, PEM")
    parser.add_argument("--key", required=True, type=Path, help="its private key, PEM")
    parser.add_argument("--ca", required=True, type=Path, help="the gateway's authority, PEM")
    parser.add_argument("--portfolio", required=True, type=Path, help="CSV")
    parser.add_argument("--out", type=Path, help="Parquet file to write")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
