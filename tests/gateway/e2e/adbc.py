"""Flight SQL as its users call it: the stock ADBC driver, and raw commands for attackers."""

from contextlib import contextmanager

from adbc_driver_flightsql import DatabaseOptions, dbapi
from google.protobuf import any_pb2
from pyarrow import flight

from tests.gateway.e2e.serving import CASE, OPERATOR

HEADER = "adbc.flight.sql.rpc.call_header.xinguan-"
PURPOSE = {"purpose": "CREDIT_REPORT", "scenario": "ENTERPRISE_REPORT"}
CREDIT = {"purpose": "ENTERPRISE_CREDIT", "scenario": "CREDIT_LOAN"}


def connect(site, who, **words):
    """Return a connection of the stock driver; `words` are headers of the gateway."""
    stated = PURPOSE | {"operator": OPERATOR, "case_reference": CASE} | words
    options = {
        DatabaseOptions.TLS_ROOT_CERTS.value: who.authority.decode(),
        DatabaseOptions.MTLS_CERT_CHAIN.value: who.certificate.decode(),
        DatabaseOptions.MTLS_PRIVATE_KEY.value: who.key.decode(),
    }
    options |= {HEADER + name.replace("_", "-"): value for name, value in stated.items() if value}
    return dbapi.connect(f"grpc+tls://{site.gateway.address}", db_kwargs=options, autocommit=True)


@contextmanager
def cursor(site, who, **words):
    """Return a cursor of a connection of its own."""
    with connect(site, who, **words) as connection, connection.cursor() as found:
        yield found


def fetch(site, who, statement, parameters=None, **words):
    """Return the whole answer of a statement as a table."""
    with cursor(site, who, **words) as found:
        found.execute(statement, parameters)
        return found.fetch_arrow_table()


def command(message):
    """Return the descriptor of a command."""
    return flight.FlightDescriptor.for_command(pack(message))


def pack(message):
    """Return a message as Flight SQL packs it."""
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed.SerializeToString()


def call_options(**words):
    """Return options of pyarrow's own client with the gateway's headers."""
    stated = PURPOSE | {"operator": OPERATOR, "case_reference": CASE} | words
    headers = [
        (f"xinguan-{name.replace('_', '-')}".encode(), value.encode())
        for name, value in stated.items()
    ]
    return flight.FlightCallOptions(headers=headers, timeout=60)
