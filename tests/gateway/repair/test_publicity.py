"""Publicity files: exactly their columns, each record once, and the file that was signed."""

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from gateway.repair.publicity import (
    SCHEMA,
    BadPublicityError,
    PublicityClaims,
    check_stated,
    read_publicity,
)

ROWS = [
    {"record_id": "a", "publicity_state": "PUBLIC", "content_hash": "x", "publicity_end": None},
    {"record_id": "b", "publicity_state": "REPAIRED", "content_hash": "y", "publicity_end": None},
]
TABLE = pa.Table.from_pylist(ROWS, schema=SCHEMA)


def write(table: pa.Table, path) -> None:
    if path.suffix == ".csv":
        pyarrow.csv.write_csv(table, path)
    elif path.suffix == ".arrow":
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    else:
        pq.write_table(table, path)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".arrow"])
def test_every_form_gives_the_same_rows(tmp_path, suffix):
    path = tmp_path / f"rows{suffix}"
    write(TABLE.select(list(reversed(SCHEMA.names))), path)
    assert read_publicity(path).table.equals(TABLE)


@pytest.mark.parametrize(
    "table",
    [
        TABLE.drop_columns(["content_hash"]),
        TABLE.append_column("more", pa.array([1, 2])),
        pa.Table.from_pylist([ROWS[0], ROWS[0]], schema=SCHEMA),
        pa.Table.from_pylist([ROWS[0] | {"record_id": None}], schema=SCHEMA),
        pa.Table.from_pylist([ROWS[0] | {"publicity_state": "GONE"}], schema=SCHEMA),
        pa.Table.from_pylist([ROWS[0] | {"publicity_state": None}], schema=SCHEMA),
        TABLE.set_column(3, "publicity_end", pa.array(["no", "date"])),
    ],
)
def test_what_is_not_of_the_form_is_refused(tmp_path, table):
    write(table, tmp_path / "rows.parquet")
    with pytest.raises(BadPublicityError):
        read_publicity(tmp_path / "rows.parquet")


@pytest.mark.parametrize("name", ["none.parquet", "rows.xlsx", "cut.parquet", "cut.arrow"])
def test_what_can_not_be_read_is_refused_without_its_name(tmp_path, name):
    write(TABLE, tmp_path / "whole.parquet")
    for cut in ("rows.xlsx", "cut.parquet", "cut.arrow"):
        (tmp_path / cut).write_bytes((tmp_path / "whole.parquet").read_bytes()[:-9])
    with pytest.raises(BadPublicityError) as caught:
        read_publicity(tmp_path / name)
    assert name not in str(caught.value)


def test_another_file_than_the_signed_one_is_refused(tmp_path):
    write(TABLE, tmp_path / "rows.parquet")
    read = read_publicity(tmp_path / "rows.parquet")
    stated = {"v": 1, "authority": "CREDIT_CHINA", "unit": "1" * 18, "product": "admin_penalty",
              "as_of": 1, "records": 2, "sha256": read.sha256}  # fmt: skip
    check_stated(read, PublicityClaims(**stated))
    for other in ({"records": 3}, {"sha256": "0" * 64}):
        with pytest.raises(BadPublicityError):
            check_stated(read, PublicityClaims(**(stated | other)))
