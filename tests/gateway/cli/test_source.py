"""Sources of the settings: listed, checked, loaded; their secrets are nowhere."""

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.files import FileSource
from gateway.config import parse_settings
from gateway.registry.arrow_schema import arrow_schema
from gateway.registry.catalogue import Catalogue
from gateway.source_settings import SourceKind
from tests.adapters.flight_sql_server import FlightSqlServer
from tests.adapters.live import PostgresPlace

PRODUCT = "admin_penalty"
ROWS = 300


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Synthetic records of the product, as the contract has them."""
    from gateway.ingest.synth import synthesise

    made = synthesise(
        tmp_path_factory.mktemp("synth"),
        companies=50,
        seed=3,
        products=[PRODUCT],
        rows_per_product=ROWS,
        as_of=1_790_000_000,
    )
    source = FileSource(str(made.files[PRODUCT].path), expected=schema())
    return pa.Table.from_batches(source.scan(None, None, 1 << 30))


def schema():
    return arrow_schema(Catalogue.load().product(PRODUCT))


@pytest.fixture
def settings(xinguan):
    """Add tables to the deployment's settings."""
    path = xinguan.home / "gateway" / "xinguan.toml"

    def add(text):
        path.write_text(f"{path.read_text()}\n{text}\n")

    return add


@pytest.fixture
def private(xinguan):
    """Write a file of the deployment with mode 0600."""

    def write(name, text, mode=0o600):
        path = xinguan.home / "gateway" / name
        path.write_text(text)
        path.chmod(mode)

    return write


@pytest.fixture
def credit(postgres, records):
    place = PostgresPlace(postgres, schema())
    place.put(records)
    place.close()
    yield place
    place.close()


def postgres_source(settings, private, credit, name=PRODUCT, more=""):
    private(f"keys/{name}.dsn", credit.dsn + "&application_name=secret-word")
    settings(
        f'[sources.{name}]\nkind = "postgresql"\ntable = "records"\n'
        f'credential_file = "keys/{name}.dsn"\n{more}'
    )


def write_duckdb(path, table):
    with duckdb.connect(str(path)) as database:
        database.register("incoming", table)
        database.execute("CREATE TABLE records AS SELECT * FROM incoming")


def test_a_product_is_loaded_from_postgresql(xinguan, settings, private, credit):
    postgres_source(settings, private, credit)
    assert xinguan.do("source", "check", PRODUCT)["agrees"] is True
    told = xinguan.do("load", PRODUCT)
    assert told["rows"] + told["quarantined"] == ROWS
    entry = xinguan.entry(told["entry"])
    assert entry["kind"] == "snapshot_admitted"
    assert entry["rows"] == told["rows"]
    assert credit.sessions() == 0


def test_every_kind_of_source_gives_the_same_snapshot_content(
    xinguan, settings, private, credit, records, tmp_path
):
    path = tmp_path / "records.parquet"
    pq.write_table(records, path)
    write_duckdb(tmp_path / "records.duckdb", records)
    server = FlightSqlServer(token="Bearer secret-word")
    server.put(records)
    postgres_source(settings, private, credit, "live", f'product = "{PRODUCT}"')
    private("keys/up.token", "Bearer secret-word\n")
    settings(
        f'[sources.upstream]\nkind = "flight_sql"\nproduct = "{PRODUCT}"\ntable = "records"\n'
        f'location = "{server.address}"\ncredential_file = "keys/up.token"'
    )
    settings(
        f'[sources.duck]\nkind = "duckdb"\nproduct = "{PRODUCT}"\ntable = "records"\n'
        f'location = "{tmp_path}/records.duckdb"'
    )
    settings(f'[sources.file]\nkind = "files"\nproduct = "{PRODUCT}"\nlocation = "{path}"')
    try:
        held = {}
        for name in ("live", "upstream", "duck", "file"):
            told = xinguan.do("load", PRODUCT, "--source", name)
            held[name] = (told["rows"], told["quarantined"], told["reasons"])
    finally:
        server.close()
    assert len(set(held.values())) == 1
    assert held["file"][0] > 0


def test_differences_are_shown_as_a_table_and_refuse_the_load(xinguan, settings, private, credit):
    postgres_source(settings, private, credit)
    credit.run("DROP VIEW sorted")
    credit.run("ALTER TABLE records DROP COLUMN authority, ADD COLUMN religion text")
    credit.run("ALTER TABLE records ALTER COLUMN determination_date TYPE text")
    ran = xinguan("source", "check", PRODUCT, "--json")
    assert ran.code == 2
    assert ran.json["agrees"] is False
    assert {(row["column"], row["source"], row["contract"]) for row in ran.json["differences"]} >= {
        ("authority", "missing", "string"),
        ("determination_date", "string", "date32[day]"),
        ("religion", "string", ""),
    }
    shown = xinguan("source", "check", PRODUCT)
    assert shown.code == 2
    assert "determination_date" in shown.out
    refused = xinguan("load", PRODUCT, "--json")
    assert refused.code == 2
    assert "column authority is missing" in refused.err
    assert xinguan("load", PRODUCT, "--json").err == refused.err


def test_what_was_served_is_served_still_when_a_source_dies_half_way(
    xinguan, settings, private, records
):
    server = FlightSqlServer(token="Bearer secret-word")
    server.put(records)
    private("keys/up.token", "Bearer secret-word")
    settings(
        f'[sources.{PRODUCT}]\nkind = "flight_sql"\ntable = "records"\n'
        f'location = "{server.address}"\ncredential_file = "keys/up.token"'
    )
    try:
        first = xinguan.do("load", PRODUCT)
        server.break_after = 1
        ran = xinguan("load", PRODUCT, "--json")
        assert ran.code == 2
        assert ran.reason == "SOURCE_FAILED"
        for secret in ("secret", "SELECT", "127.0.0.1"):
            assert secret not in ran.err
    finally:
        server.close()
    served = xinguan.home / "gateway" / "snapshots" / PRODUCT / "current"
    assert first["snapshot"] in served.read_text()


def test_the_list_shows_where_credentials_stand_and_never_what_they_are(
    xinguan, settings, private, credit
):
    postgres_source(settings, private, credit)
    told = xinguan.do("source", "list")
    assert told == [
        {
            "source": PRODUCT,
            "product": PRODUCT,
            "kind": "postgresql",
            "location": "",
            "table": "records",
            "credential": f"keys/{PRODUCT}.dsn",
        }
    ]


def test_a_credential_that_others_may_read_is_refused(xinguan, settings, private, credit):
    postgres_source(settings, private, credit)
    private(f"keys/{PRODUCT}.dsn", credit.dsn, 0o644)
    ran = xinguan("source", "check", PRODUCT, "--json")
    assert ran.code == 1
    assert ran.reason == "SOURCE_FAILED"
    assert "isn't private" in ran.err
    assert credit.user not in ran.err


def test_a_credential_may_stand_in_the_environment(xinguan, settings, credit, monkeypatch):
    settings(
        f'[sources.{PRODUCT}]\nkind = "postgresql"\ntable = "records"\n'
        'credential_env = "CREDIT_DSN"'
    )
    assert xinguan("source", "check", PRODUCT).code == 1
    monkeypatch.setenv("CREDIT_DSN", credit.dsn)
    assert xinguan.do("source", "check", PRODUCT)["agrees"] is True


def test_an_unreachable_source_is_no_difference(xinguan, settings, monkeypatch):
    settings(
        f'[sources.{PRODUCT}]\nkind = "postgresql"\ntable = "records"\n'
        'credential_env = "CREDIT_DSN"'
    )
    monkeypatch.setenv("CREDIT_DSN", "postgresql://u:secret-word@127.0.0.1:1/credit")
    ran = xinguan("source", "check", PRODUCT, "--json")
    assert ran.code == 1
    assert ran.reason == "SOURCE_FAILED"
    assert "secret-word" not in ran.err


def test_names_that_are_not_there(xinguan, settings, tmp_path):
    settings('[sources.other]\nkind = "files"\nlocation = "x.parquet"')
    assert xinguan.refuse("source", "check", "nobody") == "NOT_FOUND"
    assert xinguan.refuse("source", "check", "other") == "UNKNOWN_PRODUCT"
    assert xinguan.refuse("load", PRODUCT) == "NOT_FOUND"
    assert xinguan.refuse("load", PRODUCT, "--source", "nobody") == "NOT_FOUND"
    assert xinguan.refuse("load", PRODUCT, "--source", "other") == "BAD_REQUEST"
    assert xinguan.refuse("load", PRODUCT, "a.parquet", "--source", "other") == "BAD_REQUEST"


def test_several_sources_of_one_product_have_to_be_chosen_from(xinguan, settings):
    for name in ("one", "two"):
        settings(f'[sources.{name}]\nkind = "files"\nlocation = "x.parquet"\nproduct = "{PRODUCT}"')
    assert xinguan.refuse("load", PRODUCT) == "BAD_REQUEST"


@pytest.mark.parametrize(
    "text",
    [
        'kind = "postgresql"\ntable = "t"',
        'kind = "postgresql"\ntable = "t"\nlocation = "x"\ncredential_env = "A"',
        'kind = "postgresql"\ntable = "t"\ncredential_env = "A"\ncredential_file = "b"',
        'kind = "duckdb"\nlocation = "x"',
        'kind = "duckdb"\nlocation = "x"\ntable = "t"\ncredential_env = "A"',
        'kind = "files"\nlocation = "x"\ntable = "t"',
        'kind = "files"',
        'kind = "files"\nlocation = "x"\nca_file = "ca.pem"',
        'kind = "flight_sql"\nlocation = "x"\ntable = "t"\nkey_file = "k"',
        'kind = "flight_sql"\nlocation = "x"\ntable = "t; DROP TABLE t"',
        'kind = "oracle"\nlocation = "x"',
        'kind = "files"\nlocation = "x"\npassword = "secret-word"',
    ],
)
def test_settings_that_do_not_say_where_it_is_are_refused(xinguan, settings, text):
    settings(f"[sources.{PRODUCT}]\n{text}")
    ran = xinguan("source", "list", "--json")
    assert ran.code != 0
    assert ran.reason == "BAD_CONFIG"
    assert "secret-word" not in ran.err


def test_the_settings_of_the_manual_are_settings(root):
    text = (root / "docs" / "sources.md").read_text(encoding="utf-8")
    shown = [part.partition("```")[0] for part in text.split("```toml\n")[1:]]
    named = parse_settings("\n".join(shown)).sources
    assert {entry.kind for entry in named.values()} == set(SourceKind)
    for name in named:
        Catalogue.load().product(name)
