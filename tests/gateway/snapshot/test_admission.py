import json
from pathlib import Path

import pyarrow as pa
import pytest

from gateway.domain.errors import ConflictError
from gateway.snapshot import admission, sorting
from gateway.snapshot.admission import check_schema
from gateway.snapshot.errors import AdmissionError, SchemaDriftError, SnapshotDamagedError
from gateway.snapshot.manifest import MANIFEST, Manifest
from gateway.snapshot.snapshot import Snapshot
from tests.gateway.snapshot.population import (
    FAR,
    RULES,
    SCHEMA,
    Rows,
    expires_at,
    product,
    record,
    shareable,
)

ROWS = [record(f"S{n % 9}", f"r{n:03d}", amount=n) for n in range(100)]


def admit(source, place: Path, **more) -> Manifest:
    kind = more.pop("kind", product())
    settings = {"now": 1000, "as_of": 900, "quarantined": 3, "batch_rows": 16} | RULES | more
    return admission.admit(source, kind, SCHEMA, place, **settings)


def test_rows_are_sorted_complete_and_unchanged(tmp_path):
    shuffled = ROWS[::3] + ROWS[1::3] + ROWS[2::3]
    manifest = admit(Rows(shuffled), tmp_path / "s")
    opened = Snapshot.open(tmp_path / "s", verify=True)
    held = pa.Table.from_batches([opened.batch(n).rows for n in range(opened.batch_count)])
    due = sorted(ROWS, key=lambda row: (row["uscc"], row["record_id"]))
    assert held.equals(pa.Table.from_pylist(due, schema=SCHEMA))
    assert [batch.rows for batch in manifest.batches] == [16] * 6 + [4]


@pytest.mark.parametrize("run", [1, 3])
def test_the_order_does_not_depend_on_how_much_is_gathered_at_once(tmp_path, monkeypatch, run):
    monkeypatch.setattr(sorting, "RUN_BATCHES", run)
    shuffled = ROWS[::2] + ROWS[::-2]
    first = admit(Rows(shuffled), tmp_path / "a", batch_rows=8)
    monkeypatch.undo()
    second = admit(Rows(ROWS, batch=50), tmp_path / "b", batch_rows=8)
    assert first == second


def test_the_manifest_says_what_was_admitted(tmp_path):
    manifest = admit(Rows(ROWS), tmp_path / "s", quarantined=25)
    assert (manifest.product, manifest.contract_digest) == ("penalty", "c" * 64)
    assert (manifest.as_of, manifest.admitted_at, manifest.source_version) == (900, 1000, "v1")
    assert (manifest.rows, manifest.subjects, manifest.shareable) == (100, 9, 100)
    assert manifest.admitted_share == 0.8
    assert Manifest.read(tmp_path / "s") == manifest
    stated = json.loads((tmp_path / "s" / MANIFEST).read_text())["snapshot_id"]
    assert stated == manifest.snapshot_id


def test_another_admission_has_another_id(tmp_path):
    ids = {
        admit(Rows(ROWS), tmp_path / "a").snapshot_id,
        admit(Rows(ROWS), tmp_path / "b", now=1001).snapshot_id,
        admit(Rows(ROWS[:-1]), tmp_path / "c").snapshot_id,
    }
    assert len(ids) == 3
    assert admit(Rows(ROWS[::-1]), tmp_path / "d").snapshot_id in ids


def test_an_empty_source_makes_an_empty_snapshot(tmp_path):
    manifest = admit(Rows([]), tmp_path / "s", quarantined=0)
    opened = Snapshot.open(tmp_path / "s", verify=True)
    assert (opened.rows, opened.batch_count, manifest.admitted_share) == (0, 0, 1.0)
    assert opened.locate(["S1"]).tolist() == []
    assert opened.seal(["r001"]).tolist() == []


def test_schema_drift_is_refused_with_each_difference(tmp_path):
    drifted = SCHEMA.remove(SCHEMA.get_field_index("name")).append(pa.field("extra", pa.int64()))
    place = drifted.get_field_index("amount")
    drifted = drifted.set(place, pa.field("amount", pa.float64()))
    with pytest.raises(SchemaDriftError) as refusal:
        admit(Rows([], schema=drifted), tmp_path / "s")
    assert refusal.value.hints == (
        "missing: name: string",
        "not in the contract: extra: int64",
        "changed: amount: decimal128(18, 6) is double",
    )
    assert list(tmp_path.iterdir()) == []


def test_a_batch_that_differs_from_the_stated_schema_is_refused(tmp_path):
    class Liar(Rows):
        def scan(self, columns, predicate, batch_bytes):
            for batch in super().scan(columns, predicate, batch_bytes):
                yield batch.drop_columns(["name"])

    with pytest.raises(SchemaDriftError):
        admit(Liar(ROWS), tmp_path / "s")


def test_a_column_that_occurs_twice_is_drift():
    with pytest.raises(SchemaDriftError):
        check_schema(SCHEMA.append(SCHEMA.field("name")), SCHEMA)


def test_the_order_of_columns_is_not_drift(tmp_path):
    turned = pa.schema(list(SCHEMA)[::-1])
    admit(Rows(ROWS, schema=turned), tmp_path / "s")
    assert Snapshot.open(tmp_path / "s").schema.names == SCHEMA.names


@pytest.mark.parametrize("key", ["record_id", "uscc"])
@pytest.mark.parametrize("value", [None, "", "x" * 257, "a\x00b"])
def test_a_key_that_is_missing_or_malformed_is_refused(tmp_path, key, value):
    loose = pa.schema([pa.field(field.name, field.type) for field in SCHEMA])
    bad = Rows([*ROWS, ROWS[0] | {key: value}], schema=loose)
    with pytest.raises(AdmissionError) as refusal:
        admit(bad, tmp_path / "s")
    assert key in refusal.value.message
    assert "a\x00b" not in refusal.value.message
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_dies_half_way_leaves_nothing(tmp_path):
    with pytest.raises(ConnectionError):
        admit(Rows(ROWS, fail_after=3), tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_snapshot_is_never_overwritten(tmp_path):
    admit(Rows(ROWS), tmp_path / "s")
    before = (tmp_path / "s" / MANIFEST).read_bytes()
    with pytest.raises(ConflictError):
        admit(Rows(ROWS[:5]), tmp_path / "s")
    assert (tmp_path / "s" / MANIFEST).read_bytes() == before


@pytest.mark.parametrize("step", ["_write_indexes", "_write_bits", "_sync_and_digest", "_sync"])
def test_a_crash_at_any_step_leaves_nothing_that_opens(tmp_path, monkeypatch, step):
    def crash(*_):
        raise OSError("no space left on device")

    # A killed process cleans nothing up, so neither may this one.
    monkeypatch.setattr(admission, step, crash)
    monkeypatch.setattr(admission.shutil, "rmtree", lambda *_, **__: None)
    with pytest.raises(OSError, match="no space"):
        admit(Rows(ROWS), tmp_path / "s")
    assert not (tmp_path / "s").exists()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".admitting-")
    assert not (left / MANIFEST).exists() or step == "_sync"
    if step != "_sync":
        with pytest.raises(SnapshotDamagedError):
            Snapshot.open(left)


def test_only_what_is_known_to_be_shareable_is(tmp_path):
    rows = [
        record("A", "1"),
        record("A", "2", share=None),
        record("A", "3", share=False),
        record("A", "4", ends=None),
        record("A", "5", ends=50),
    ]
    admit(Rows(rows), tmp_path / "plain")
    admit(Rows(rows), tmp_path / "adverse", kind=product(adverse=True))
    plain, adverse = (Snapshot.open(tmp_path / name) for name in ("plain", "adverse"))
    every = plain.locate(["A"])
    assert plain.shareable(every, 49).tolist() == [True, False, False, True, True]
    assert plain.shareable(every, 50).tolist() == [True, False, False, True, False]
    # An adverse record without an end isn't known to be publicised still (R10).
    assert adverse.shareable(every, 49).tolist() == [True, False, False, False, True]
    assert plain.shareable(every, FAR).tolist() == [False, False, False, True, False]


def test_a_rule_that_answers_for_other_rows_is_a_defect_of_ours(tmp_path):
    with pytest.raises(ValueError, match="another number"):
        admit(
            Rows(ROWS),
            tmp_path / "s",
            shareable=lambda batch, kind: shareable(batch, kind).slice(1),
            expires_at=expires_at,
        )


@pytest.mark.parametrize("batch_rows", [0, 4, 12, -8])
def test_batches_end_at_a_byte_of_the_bitmap(tmp_path, batch_rows):
    with pytest.raises(ValueError, match="multiple of 8"):
        admit(Rows(ROWS), tmp_path / "s", batch_rows=batch_rows)
