"""The import of a published register: every row comes out once, and says why if held back."""

import csv
import datetime as dt
import io
import json
import time
from decimal import Decimal

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.ingest.content_hash import content_hashes
from gateway.ingest.enterprise_rows import HEADERS
from gateway.ingest.enterprises import ImportFileError, import_enterprises
from gateway.ingest.synth_population import Population
from gateway.registry.arrow_schema import arrow_schema
from gateway.registry.catalogue import Catalogue

CATALOGUE = Catalogue.load()
HEADER = list(HEADERS)
NOW = 1_795_449_600

CODES = Population(3, 60, 10).usccs(np.arange(60)).to_pylist()


def row(number: int = 0, **changes: str) -> list[str]:
    """Return a sound row about a synthetic company, changed by Chinese header."""
    values = {
        "企业名称": f"示例第{number}有限公司",
        "统一社会信用代码": CODES[number],
        "注册日期": "1998-05-04",
        "企业类型": "有限责任公司",
        "注册资金": "100(万元人民币)",
        "经营范围": "示例经营范围，（一）",
        "所在省份": "海南",
        "地区": "海口",
        "注册地址": "海口市示例路１号",
    } | changes
    return [values[name] for name in HEADER]


def encode(rows: list[list[str]], header: list[str] = HEADER, codec: str = "utf-8") -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([header, *rows])
    return text.getvalue().encode(codec)


def run(directory, content: bytes):
    path = directory / "register.csv"
    path.write_bytes(content)
    return import_enterprises(path, directory / "out", now=NOW, catalogue=CATALOGUE)


def records(report) -> list[dict]:
    return pq.read_table(report.path).to_pylist()


def held(report) -> list[dict]:
    with report.quarantine.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_sound_row_becomes_a_record_of_the_contract(tmp_path):
    report = run(tmp_path, encode([row()]))
    assert (report.rows, report.imported, report.quarantined) == (1, 1, 0)
    table = pq.read_table(report.path)
    assert table.schema.names == arrow_schema(CATALOGUE.product("legal_entity_base")).names
    record = table.to_pylist()[0]
    assert record["uscc"] == CODES[0]
    assert record["established_on"] == dt.date(1998, 5, 4)
    assert record["registered_capital"] == Decimal(100)
    assert record["registered_capital_currency"] == "CNY"
    assert record["region_code"] == "460100"
    # Texts stay as published, full-width characters and all.
    assert record["address"] == "海口市示例路１号"
    assert record["business_scope"] == "示例经营范围，（一）"
    assert record["subject_type"] == "LEGAL_ENTITY"
    assert record["share_state"] == "ACTIVE"
    assert record["ingested_at"].timestamp() == NOW
    # What the source doesn't say stays null.
    assert record["reg_status"] is None
    assert record["legal_rep_name"] is None


def test_records_conform_to_the_schema_and_carry_their_digest(tmp_path):
    report = run(tmp_path, encode([row(n) for n in range(20)]))
    batch = pq.read_table(report.path).combine_chunks().to_batches()[0]
    assert batch.column("content_hash").equals(content_hashes(batch))
    assert len(set(batch.column("record_id").to_pylist())) == 20


@pytest.mark.parametrize(
    ("changes", "field", "expected"),
    [
        ({"注册资金": "N/A"}, "registered_capital", None),
        ({"注册资金": "10(万美元)"}, "registered_capital_currency", "USD"),
        ({"注册资金": "1,655.3(万港币)"}, "registered_capital", Decimal("1655.3")),
        ({"注册资金": "5(万)"}, "registered_capital_currency", None),
        ({"企业类型": "N/A"}, "entity_type", None),
        ({"企业类型": "个体工商户"}, "subject_type", "SOLE_PROP"),
        ({"注册日期": "１９９８／５／４"}, "established_on", dt.date(1998, 5, 4)),
        ({"注册日期": "1998年5月4日"}, "established_on", dt.date(1998, 5, 4)),
        ({"统一社会信用代码": f" {CODES[5].lower()} "}, "uscc", CODES[5]),
        ({"地区": "洋浦经济开发区"}, "region_code", None),
        ({"企业名称": "　示例（海南）公司 "}, "name", "示例（海南）公司"),
    ],
)
def test_mess_that_can_be_read(tmp_path, changes, field, expected):
    report = run(tmp_path, encode([row(**changes)]))
    assert records(report)[0][field] == expected


WIDE = CODES[7].translate({ord(c): ord(c) + 0xFEE0 for c in "0123456789ABCDEFGHJKLMNPQRTUWXY"})


def test_a_code_in_full_width_characters_is_read(tmp_path):
    assert records(run(tmp_path, encode([row(统一社会信用代码=WIDE)])))[0]["uscc"] == CODES[7]


@pytest.mark.parametrize(
    ("changes", "rule", "code", "field"),
    [
        ({"统一社会信用代码": "91350100M000100Y4A"}, "R02", "BAD_ID", "uscc"),
        ({"统一社会信用代码": "（C）460103000699-"}, "R02", "BAD_ID", "uscc"),
        ({"统一社会信用代码": "N/A"}, "R02", "BAD_ID", "uscc"),
        ({"企业名称": "N/A"}, "INGEST", "NO_NAME", "name"),
        ({"企业名称": "����˾"}, "INGEST", "TEXT_DESTROYED", "name"),
        ({"经营范围": "示例\ufffd"}, "INGEST", "TEXT_DESTROYED", "business_scope"),
        ({"经营范围": "a\x1fb"}, "INGEST", "TEXT_DESTROYED", "business_scope"),
        ({"注册日期": "1998-02-30"}, "INGEST", "BAD_DATE", "established_on"),
        ({"注册日期": "N/A"}, "INGEST", "BAD_DATE", "established_on"),
        ({"注册日期": "0001-01-01"}, "INGEST", "BAD_DATE", "established_on"),
        ({"注册资金": "一百"}, "INGEST", "BAD_AMOUNT", "registered_capital"),
        ({"注册资金": "100(万卢布)"}, "INGEST", "BAD_AMOUNT", "registered_capital"),
    ],
)
def test_mess_that_cannot_is_held_back_with_its_row_and_reason(
    tmp_path, changes, rule, code, field
):
    report = run(tmp_path, encode([row(1), row(0, **changes), row(2)]))
    assert (report.rows, report.imported, report.quarantined) == (3, 2, 1)
    entry = held(report)[0]
    assert (entry["row"], entry["line"]) == ("2", "3")
    assert (entry["rules"], entry["codes"], entry["fields"]) == (rule, code, field)
    # The row itself is kept, so that it can be corrected at its source.
    assert entry["经营范围"] == row(0, **changes)[HEADER.index("经营范围")]
    assert report.reasons == {code: 1}


def test_a_row_with_several_faults_names_all_of_them(tmp_path):
    bad = row(0, 统一社会信用代码="1", 注册日期="x", 注册资金="y")
    assert held(run(tmp_path, encode([bad])))[0]["codes"] == "BAD_ID;BAD_DATE;BAD_AMOUNT"


@pytest.mark.parametrize("cells", [["only", "three", "cells"], [*row(0), "surplus"]])
def test_a_row_of_another_width_is_held_back(tmp_path, cells):
    report = run(tmp_path, encode([row(1), cells]))
    assert held(report)[0]["codes"] == "WRONG_WIDTH"


def test_the_first_of_two_rows_with_one_code_is_kept(tmp_path):
    report = run(tmp_path, encode([row(0), row(1), row(0), row(0, 企业名称="示例另一公司")]))
    assert [(e["row"], e["rules"], e["codes"]) for e in held(report)] == [
        ("3", "R07", "DUPLICATE"),
        ("4", "R07", "CONFLICT"),
    ]
    assert [r["name"] for r in records(report)] == ["示例第0有限公司", "示例第1有限公司"]


def test_line_numbers_count_lines_inside_of_cells(tmp_path):
    report = run(tmp_path, encode([row(0, 经营范围="一\n二"), row(1, 注册日期="x")]))
    assert [(e["row"], e["line"]) for e in held(report)] == [("2", "4")]


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030"])
def test_both_encodings_give_the_same_records(tmp_path, codec):
    report = run(tmp_path, encode([row(0)], codec=codec))
    assert records(report)[0]["name"] == "示例第0有限公司"


def test_columns_may_come_in_any_order_and_with_the_representative(tmp_path):
    order = [8, 2, 0, 1, 7, 6, 5, 4, 3]
    header = [HEADER[i] for i in order] + ["法人代表"]
    cells = [row(0)[i] for i in order] + ["示例人"]
    record = records(run(tmp_path, encode([cells], header)))[0]
    assert (record["uscc"], record["legal_rep_name"]) == (CODES[0], "示例人")


def test_the_same_file_gives_the_same_bytes(tmp_path):
    content = encode([row(n) for n in range(10)])
    first = run(tmp_path, content).path.read_bytes()
    assert run(tmp_path, content).path.read_bytes() == first


def test_quarantined_rows_are_for_their_owner_only(tmp_path):
    report = run(tmp_path, encode([row(0, 注册日期="x")]))
    for path in (report.path, report.quarantine, report.summary):
        assert path.stat().st_mode & 0o077 == 0
    assert json.loads(report.summary.read_text())["reasons"] == {"BAD_DATE": 1}


def test_a_file_with_a_header_only_gives_no_record(tmp_path):
    report = run(tmp_path, encode([]))
    assert (report.rows, report.imported, report.quarantined) == (0, 0, 0)
    assert pq.read_table(report.path).num_rows == 0


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "WRONG_HEADER"),
        (encode([], HEADER[:-1]), "WRONG_HEADER"),
        (encode([], [*HEADER, "宗教信仰"]), "WRONG_HEADER"),
        (encode([], [*HEADER, "地区"]), "WRONG_HEADER"),
        (encode([row(0)])[:-20] + b',"never closed', "BROKEN_CSV"),
        (encode([row(0)]) + b'a,"b"c,d\n', "BROKEN_CSV"),
        ("企业名称".encode("utf-16"), "NOT_TEXT"),
        (b"\xff\xff\xff\xff", "NOT_TEXT"),
        (b"PAR1\x00\x00", "NOT_TEXT"),
    ],
)
def test_a_file_that_is_no_register_is_refused_whole(tmp_path, content, code):
    with pytest.raises(ImportFileError) as caught:
        run(tmp_path, content)
    assert caught.value.code == code
    assert str(tmp_path) not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ImportFileError) as caught:
        import_enterprises(tmp_path / "none.csv", tmp_path, now=NOW, catalogue=CATALOGUE)
    assert caught.value.code == "UNREADABLE"


CELLS = st.sampled_from(
    [
        "",
        "N/A",
        "\ufffd",
        "1998-05-04",
        "100(万元)",
        "示例",
        CODES[0],
        CODES[1],
        "９９",
        '"',
        "a,b",
        "x\ny",
    ]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(CELLS, min_size=1, max_size=10), max_size=8))
def test_rows_in_are_rows_out_and_rows_held_back(tmp_path_factory, rows):
    directory = tmp_path_factory.mktemp("register")
    # A row of one empty cell is an empty line to every CSV reader, not a row.
    rows = [cells for cells in rows if cells != [""]]
    report = run(directory, encode(rows))
    assert report.rows == len(rows)
    out, back = len(records(report)), len(held(report))
    assert out + back == len(rows)
    assert (out, back) == (report.imported, report.quarantined)
    assert [int(e["row"]) for e in held(report)] == sorted({int(e["row"]) for e in held(report)})
    for entry in held(report):
        assert entry["codes"]


@pytest.mark.shared
def test_the_real_file_comes_out_whole_in_under_three_seconds(shared, tmp_path):
    path = shared / "data" / "hainan_enterprises.csv"
    started = time.process_time()
    report = import_enterprises(path, tmp_path, now=NOW)
    assert time.process_time() - started < 3
    assert (report.rows, report.imported, report.quarantined) == (7312, 7295, 17)
    assert report.reasons == {"BAD_ID": 1, "TEXT_DESTROYED": 16}
    assert report.notes == {"CURRENCY_UNSTATED": 8, "NO_CAPITAL": 1484}
    table = pq.read_table(report.path)
    counts = {
        e["values"]: e["counts"]
        for e in table["registered_capital_currency"].value_counts().to_pylist()
    }
    assert {"USD": 51, "HKD": 32, "JPY": 1}.items() <= counts.items()
    # Every record is written once, whole and under its own key.
    assert len(set(table["record_id"].to_pylist())) == table.num_rows
    assert table["name"].null_count == 0


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    before = run(tmp_path, encode([row(0)])).path.read_bytes()

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fdopen", full)
    with pytest.raises(OSError, match="No space"):
        run(tmp_path, encode([row(0), row(1)]))
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert not any(name.endswith(".partial") for name in left)
    assert (tmp_path / "out" / "legal_entity_base.parquet").read_bytes() == before
