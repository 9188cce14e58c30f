"""What is particular to files: formats, directories, drift, broken files, locations."""

from datetime import date
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from adapters.files import FileSource
from adapters.locations import S3Options
from adapters.predicate import Compare, In, IsNull, Not, Operator, Or
from adapters.source import SourceError
from tests.adapters.conftest import SCHEMA, records, write

TABLE = records(100)
WHOLE = 1 << 30


def code(act) -> str:
    with pytest.raises(SourceError) as caught:
        act()
    return caught.value.code


def rows(source: FileSource) -> pa.Table:
    return pa.Table.from_batches(source.scan(None, None, WHOLE))


def test_a_directory_is_read_in_the_order_of_its_names(tmp_path):
    for number in (2, 0, 1):
        write(TABLE.slice(number * 10, 10), tmp_path / f"part-{number}.parquet", "parquet")
    (tmp_path / "_SUCCESS").write_bytes(b"")
    (tmp_path / ".hidden").write_bytes(b"x")
    source = FileSource(str(tmp_path), expected=SCHEMA, file_format="parquet")
    assert rows(source).equals(TABLE.slice(0, 30))


def test_a_file_that_joins_the_directory_later_does_not_join_the_scan(tmp_path):
    write(TABLE.slice(0, 10), tmp_path / "a.parquet", "parquet")
    source = FileSource(str(tmp_path), expected=SCHEMA, file_format="parquet")
    version = source.version()
    write(TABLE.slice(10, 10), tmp_path / "b.parquet", "parquet")
    assert rows(source).num_rows == 10
    assert source.version() == version
    again = FileSource(str(tmp_path), expected=SCHEMA, file_format="parquet")
    assert again.version() != version


def test_the_version_is_of_the_content_and_not_of_the_place(tmp_path):
    for name in ("a.parquet", "b.parquet"):
        write(TABLE, tmp_path / name, "parquet")
    a, b = (FileSource(str(tmp_path / name)).version() for name in ("a.parquet", "b.parquet"))
    assert a == b


def test_one_drifting_file_among_many_is_noticed(tmp_path):
    write(TABLE.slice(0, 10), tmp_path / "a.parquet", "parquet")
    write(TABLE.slice(10, 10).drop_columns(["rank"]), tmp_path / "b.parquet", "parquet")
    source = FileSource(str(tmp_path), expected=SCHEMA, file_format="parquet")
    assert code(source.schema) == "SCHEMA_DRIFT"


def test_drift_names_each_difference_with_its_types(tmp_path):
    path = tmp_path / "a.parquet"
    drifted = TABLE.drop_columns(["name"]).append_column("religion", pa.nulls(100, pa.string()))
    drifted = drifted.set_column(1, "rank", pa.array([str(i) for i in range(100)]))
    pq.write_table(drifted, path)
    with pytest.raises(SourceError) as caught:
        FileSource(str(path), expected=SCHEMA).schema()
    assert caught.value.message == (
        "the file's schema differs: column name is missing; "
        "column rank is string instead of int64; column religion is not expected"
    )


def test_an_unusual_column_name_is_not_repeated(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(TABLE.append_column("460022199001011234 张三", pa.nulls(100)), path)
    with pytest.raises(SourceError) as caught:
        FileSource(str(path), expected=SCHEMA).schema()
    assert "460022" not in caught.value.message


def test_a_csv_without_its_header_does_not_show_the_first_record(tmp_path):
    path = tmp_path / "a.csv"
    write(TABLE, path, "csv")
    path.write_bytes(path.read_bytes().split(b"\n", 1)[1])
    with pytest.raises(SourceError) as caught:
        FileSource(str(path), expected=SCHEMA).schema()
    # Arrow itself refuses a header with doubled names, the drift check any other.
    assert caught.value.code in ("SCHEMA_DRIFT", "SOURCE_FAILED")
    assert "r00000" not in caught.value.message


@pytest.mark.parametrize(
    ("cell", "column"),
    [("twelve", "rank"), ("1.0000001", "capital"), ("2026-02-30", "founded"), ("yes", "active")],
)
def test_a_cell_of_another_type_fails_without_being_repeated(tmp_path, cell, column):
    path = tmp_path / "a.csv"
    header = ",".join(SCHEMA.names)
    values = dict.fromkeys(SCHEMA.names, "") | {"record_id": "r1", column: cell}
    path.write_text(header + "\n" + ",".join(values.values()) + "\n", encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        rows(FileSource(str(path), expected=SCHEMA))
    assert caught.value.code == "SOURCE_FAILED"
    assert cell not in caught.value.message


def test_csv_keeps_leading_zeros_and_reads_line_breaks_in_cells(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('record_id,name\n0012,"一\n二"\n', encoding="utf-8")
    schema = pa.schema({"record_id": pa.string(), "name": pa.string()})
    found = rows(FileSource(str(path), expected=schema)).to_pylist()
    assert found == [{"record_id": "0012", "name": "一\n二"}]


@pytest.mark.parametrize("kind", ["parquet", "ipc", "csv"])
@pytest.mark.parametrize("content", [b"", b"PAR1", b"garbage" * 100])
def test_a_file_that_is_no_such_file_is_a_source_error(tmp_path, kind, content):
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    source = FileSource(str(path), expected=SCHEMA, file_format=kind)
    assert code(lambda: list(source.scan(None, None, WHOLE))) in ("SOURCE_FAILED", "SCHEMA_DRIFT")


@pytest.mark.parametrize("kind", ["parquet", "ipc"])
@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_truncated_file_is_a_source_error(tmp_path, kind, share):
    path = tmp_path / "a.bin"
    write(TABLE, path, kind)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    source = FileSource(str(path), expected=SCHEMA, file_format=kind)
    assert code(lambda: list(source.scan(None, None, WHOLE))) == "SOURCE_FAILED"


def test_a_flipped_bit_in_a_page_with_a_checksum_is_noticed(tmp_path):
    path = tmp_path / "a.parquet"
    options = {"compression": "none", "use_dictionary": False, "write_page_checksum": True}
    pq.write_table(TABLE, path, **options)
    content = bytearray(path.read_bytes())
    place = content.index("示例“50”公司".encode())
    content[place] ^= 1
    path.write_bytes(bytes(content))
    source = FileSource(str(path), expected=SCHEMA)
    assert code(lambda: rows(source)) == "SOURCE_FAILED"


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_any_unit_of_time_is_read_if_nothing_is_lost(tmp_path, unit):
    path = tmp_path / "a.arrow"
    kind = pa.timestamp(unit, "Asia/Shanghai")
    place = SCHEMA.get_field_index("updated")
    write(TABLE.set_column(place, "updated", TABLE["updated"].cast(kind)), path, "ipc")
    source = FileSource(str(path), expected=SCHEMA)
    assert rows(source).equals(TABLE)
    found = source.scan(["rank"], Compare("capital", Operator.EQ, Decimal("0.012")), WHOLE)
    assert [b.to_pylist() for b in found] == [[{"rank": 12}]]


def test_a_fraction_of_a_second_is_not_rounded_away(tmp_path):
    path = tmp_path / "a.arrow"
    place = SCHEMA.get_field_index("updated")
    odd = pa.array([1] * 100, pa.timestamp("ms", "Asia/Shanghai"))
    write(TABLE.set_column(place, "updated", odd), path, "ipc")
    assert code(lambda: rows(FileSource(str(path), expected=SCHEMA))) == "SOURCE_FAILED"


def test_another_time_zone_is_drift(tmp_path):
    path = tmp_path / "a.arrow"
    place = SCHEMA.get_field_index("updated")
    kind = pa.timestamp("s", "UTC")
    write(TABLE.set_column(place, "updated", TABLE["updated"].cast(kind)), path, "ipc")
    assert code(FileSource(str(path), expected=SCHEMA).schema) == "SCHEMA_DRIFT"


@pytest.mark.parametrize("kind", ["parquet", "ipc"])
def test_a_value_finer_than_its_column_is_named_by_its_column(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    place = SCHEMA.get_field_index("updated")
    fine = pa.timestamp("ms", SCHEMA.field("updated").type.tz)
    finer = pc.add(TABLE["updated"].cast(fine), pa.scalar(7, pa.duration("ms")))
    write(TABLE.set_column(place, "updated", finer), path, kind)
    with pytest.raises(SourceError) as caught:
        rows(FileSource(str(path), expected=SCHEMA))
    assert caught.value.code == "SOURCE_FAILED"
    assert caught.value.message.startswith("a value of column updated, stored as timestamp[ms")
    assert caught.value.message.endswith("without loss")


def test_a_file_that_vanishes_while_it_is_open_fails_the_scan(tmp_path):
    path = tmp_path / "a.parquet"
    write(TABLE, path, "parquet")
    source = FileSource(str(path), expected=SCHEMA)
    source.schema()
    path.unlink()
    assert code(lambda: rows(source)) == "SOURCE_CHANGED"


def test_a_path_that_cannot_be_followed_is_a_source_error(tmp_path):
    path = tmp_path / "a.parquet"
    path.symlink_to(path)
    assert code(FileSource(str(path), expected=SCHEMA).schema) in ("SOURCE_FAILED", "NOT_FOUND")


def test_nothing_there_is_not_found(tmp_path):
    assert code(FileSource(str(tmp_path / "none.parquet")).schema) == "NOT_FOUND"
    source = FileSource(str(tmp_path), expected=SCHEMA, file_format="parquet")
    assert code(source.schema) == "NOT_FOUND"


def test_a_parquet_file_may_bring_its_own_schema(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": [1]}), path)
    assert FileSource(str(path)).schema().names == ["x"]


@pytest.mark.parametrize(
    ("location", "options"),
    [
        ("a.xlsx", {}),
        ("a", {}),
        ("a.csv", {}),  # CSV without its schema
        ("a.parquet", {"file_format": "orc"}),
    ],
)
def test_an_unknown_format_is_refused_when_it_is_named(location, options):
    assert code(lambda: FileSource(location, **options)) == "BAD_LOCATION"


@pytest.mark.parametrize(
    "location",
    [
        "s3://AKIA:secret@bucket/a.parquet",
        "s3://bucket/a.parquet?secret_key=x&file=.parquet",
        "https://example.invalid/a.parquet",
        "file:///etc/a.parquet",
        "s3://[bad/a.parquet",
    ],
)
def test_credentials_and_other_schemes_are_refused_in_locations(location):
    assert code(FileSource(location, file_format="parquet").schema) == "BAD_LOCATION"


def test_a_missing_object_is_not_found(s3_server: S3Options, s3_filesystem: fs.S3FileSystem):
    source = FileSource("s3://credit/none/a.parquet", expected=SCHEMA, s3=s3_server)
    assert code(source.schema) == "NOT_FOUND"


def test_a_prefix_of_objects_is_read_like_a_directory(
    s3_server: S3Options, s3_filesystem: fs.S3FileSystem
):
    for number in (1, 0):
        with s3_filesystem.open_output_stream(f"credit/many/{number}.parquet") as stream:
            pq.write_table(TABLE.slice(number * 10, 10), stream)
    source = FileSource("s3://credit/many/", expected=SCHEMA, file_format="parquet", s3=s3_server)
    assert rows(source).equals(TABLE.slice(0, 20))


def test_an_unreachable_store_is_a_source_error_without_its_address(s3_server: S3Options):
    options = S3Options(
        region="us-east-1",
        endpoint="127.0.0.1:1",
        scheme="http",
        connect_timeout_s=0.2,
        request_timeout_s=0.2,
    )
    source = FileSource("s3://credit/a.parquet", expected=SCHEMA, s3=options)
    with pytest.raises(SourceError) as caught:
        source.schema()
    assert caught.value.code == "SOURCE_FAILED"
    assert "127.0.0.1" not in caught.value.message


def test_a_condition_skips_row_groups_without_reading_them(tmp_path):
    path = tmp_path / "records.parquet"
    write(records(1000), path, "parquet")
    groups = pq.read_metadata(path)
    columns = [groups.row_group(4).column(i) for i in range(groups.num_columns)]
    begin = min(column.dictionary_page_offset or column.data_page_offset for column in columns)
    size = sum(column.total_compressed_size for column in columns)
    content = bytearray(path.read_bytes())
    content[begin : begin + size] = b"\xff" * size
    path.write_bytes(content)
    source = FileSource(str(path), expected=SCHEMA)
    # The fifth group can't be read, and nothing that its statistics exclude tries to; columns
    # that are null somewhere in it exclude it too.
    for predicate in (
        Compare("record_id", Operator.GE, "r00500"),
        Compare("record_id", Operator.EQ, "r00123"),
        Compare("rank", Operator.GT, 499),
        Not(Compare("rank", Operator.GE, 400)),
        In("rank", (12, 998)),
        Compare("founded", Operator.LT, date(1981, 2, 1)),
    ):
        assert list(source.scan(None, predicate, WHOLE)), predicate
    assert code(lambda: rows(source)) == "SOURCE_FAILED"
    for predicate in (
        Compare("record_id", Operator.GE, "r00450"),
        Compare("rank", Operator.NE, 3),
        IsNull("rank"),
        Or((Compare("rank", Operator.GT, 600), Compare("rank", Operator.LT, 401))),
    ):
        assert code(lambda p=predicate: list(source.scan(None, p, WHOLE))) == "SOURCE_FAILED"


def test_a_condition_that_no_row_group_can_meet_reads_nothing(tmp_path):
    path = tmp_path / "records.parquet"
    write(records(300), path, "parquet")
    source = FileSource(str(path), expected=SCHEMA)
    assert list(source.scan(["name"], Compare("rank", Operator.GT, 5_000), WHOLE)) == []
