"""A bank asks in SQL with the stock ADBC driver and counts the answer in DuckDB.

    python examples/bank_sql.py --target localhost:8443 --cert client.pem --key client.key \
        --ca ca.pem --portfolio codes.txt

The portfolio is a text file with one unified social credit code a line. The gateway answers
governed reading alone; joins and sums are DuckDB's, on what the bank received.
"""

import argparse
import sys
from pathlib import Path

import duckdb
from adbc_driver_flightsql import DatabaseOptions, dbapi
from adbc_driver_manager import Error

HEADER = "adbc.flight.sql.rpc.call_header.xinguan-"


def main() -> int:
    """Connect, ask for the grades of a portfolio, print how many have which."""
    words = _arguments()
    codes = words.portfolio.read_text().split()
    statement = (
        "SELECT uscc, grade, as_of FROM public_credit_grade "
        f"WHERE uscc IN ({', '.join('?' * len(codes))})"
    )
    try:
        with connect(words) as connection, connection.cursor() as cursor:
            cursor.execute(statement, codes)
            grades = cursor.fetch_arrow_table()
    except Error as error:
        # The message names the first reason, its clause and what would make it allowed.
        print(f"refused: {error}")
        return 1
    print(f"asked about {len(codes)}, rows: {grades.num_rows}")
    with duckdb.connect() as local:
        local.register("grades", grades)
        for grade, firms in local.sql(
            "SELECT grade, count(*) FROM grades GROUP BY grade ORDER BY grade"
        ).fetchall():
            print(f"grade {grade:<4} {firms:>6}")
    return 0


def connect(words: argparse.Namespace) -> dbapi.Connection:
    """Return a connection: the bank's certificate, and why and for whom it asks."""
    return dbapi.connect(
        f"grpc+tls://{words.target}",
        db_kwargs={
            DatabaseOptions.TLS_ROOT_CERTS.value: words.ca.read_text(),
            DatabaseOptions.MTLS_CERT_CHAIN.value: words.cert.read_text(),
            DatabaseOptions.MTLS_PRIVATE_KEY.value: words.key.read_text(),
            HEADER + "purpose": words.purpose,
            HEADER + "scenario": "CREDIT_LOAN",
            HEADER + "operator": "modeller-3",
            HEADER + "case-reference": "model-2026-01",
        },
        autocommit=True,  # there is nothing to commit
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--target", required=True, help="host:port of the gateway")
    parser.add_argument("--cert", required=True, type=Path, help="certificate, PEM")
    parser.add_argument("--key", required=True, type=Path, help="its private key, PEM")
    parser.add_argument("--ca", required=True, type=Path, help="the gateway's authority, PEM")
    parser.add_argument("--portfolio", required=True, type=Path, help="one code a line")
    parser.add_argument("--purpose", default="ENTERPRISE_CREDIT")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
