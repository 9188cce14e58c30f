import gc
import threading

import numpy as np
import pytest

from gateway.domain.errors import NotFoundError
from gateway.snapshot.errors import SchemaDriftError, SnapshotDamagedError
from gateway.snapshot.library import POINTER, SnapshotLibrary
from tests.gateway.snapshot.population import RULES, SCHEMA, Rows, product, record

ROWS = [record(f"S{n % 4}", f"r{n:02d}") for n in range(40)]
KIND = product()


def admit(library: SnapshotLibrary, rows=ROWS, now=1000, schema=SCHEMA):
    source = Rows(rows, schema=schema)
    return library.admit_and_activate(
        source, KIND, SCHEMA, now=now, as_of=now, quarantined=0, batch_rows=8, **RULES
    )


def withheld(snapshot) -> list[str]:
    rows = np.flatnonzero(~snapshot.shareable_slice(0, snapshot.rows, 0))
    return snapshot.take(rows, ["record_id"]).column(0).to_pylist()


@pytest.mark.rule("R27", "absence")
def test_serves_what_was_admitted_last(tmp_path):
    library = SnapshotLibrary(tmp_path)
    assert library.current("penalty") is None
    assert library.products() == ()
    first = admit(library)
    assert library.current("penalty") is first
    second = admit(library, ROWS[:5], now=2000)
    assert library.current("penalty") is second
    assert second.rows == 5
    assert library.products() == ("penalty",)


def test_another_process_notices_the_change(tmp_path):
    here, there = SnapshotLibrary(tmp_path), SnapshotLibrary(tmp_path)
    admit(here)
    assert there.current("penalty").rows == 40
    admit(here, ROWS[:5], now=2000)
    assert there.current("penalty").rows == 5


def test_an_older_snapshot_stays_readable_by_its_id(tmp_path):
    library = SnapshotLibrary(tmp_path)
    first = admit(library)
    admit(library, ROWS[:5], now=2000)
    assert library.pinned("penalty", first.snapshot_id) is first
    assert SnapshotLibrary(tmp_path).pinned("penalty", first.snapshot_id).rows == 40


@pytest.mark.parametrize(
    ("name", "snapshot_id"),
    [
        ("penalty", "0" * 64),
        ("penalty", "../penalty"),
        ("penalty", ""),
        ("../x", "0" * 64),
        ("unknown", "0" * 64),
    ],
)
def test_what_is_not_there_is_not_pinned(tmp_path, name, snapshot_id):
    library = SnapshotLibrary(tmp_path)
    admit(library)
    assert library.pinned(name, snapshot_id) is None


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "a" * 65, "penalty\n"])
def test_a_product_name_is_never_a_path(tmp_path, name):
    library = SnapshotLibrary(tmp_path)
    assert library.current(name) is None
    with pytest.raises(NotFoundError):
        library.activate(name, "0" * 64)


def test_sealed_records_are_sealed_before_a_snapshot_serves(tmp_path):
    admit(SnapshotLibrary(tmp_path))
    restored = SnapshotLibrary(tmp_path, lambda name: [["r03"] if name == "penalty" else ["r04"]])
    assert withheld(restored.current("penalty")) == ["r03"]


@pytest.mark.rule("R27", "effect")
def test_a_new_snapshot_is_sealed_too(tmp_path):
    sealed = ["r03"]
    library = SnapshotLibrary(tmp_path, lambda _: [sealed])
    admit(library)
    sealed.append("r05")
    library.seal("penalty", ["r05"])
    fresh = admit(library, now=2000)
    assert sorted(withheld(fresh)) == ["r03", "r05"]


def test_a_seal_reaches_snapshots_that_streams_still_read(tmp_path):
    library = SnapshotLibrary(tmp_path)
    first = admit(library)
    second = admit(library, now=2000)
    assert library.seal("penalty", ["r07", "unknown"]) == 1
    assert withheld(first) == withheld(second) == ["r07"]
    assert library.unseal("penalty", ["r07"]) == 1
    assert withheld(first) == withheld(second) == []


def test_sealing_a_product_without_records_is_no_error(tmp_path):
    assert SnapshotLibrary(tmp_path).seal("penalty", ["r01"]) == 0


def test_no_snapshot_opens_between_a_durable_seal_and_its_flip(tmp_path):
    """A seal that is durable while a snapshot is being opened reaches that snapshot."""
    admit(SnapshotLibrary(tmp_path))
    durable: list[str] = []
    reading = threading.Event()
    go_on = threading.Event()

    def sealed_keys(_: str) -> list[list[str]]:
        found = list(durable)  # read before the repair is durable
        reading.set()
        assert go_on.wait(60)
        return [found]

    library = SnapshotLibrary(tmp_path, sealed_keys)
    opener = threading.Thread(target=library.current, args=("penalty",))
    opener.start()
    assert reading.wait(60)
    durable.append("r09")
    sealer = threading.Thread(target=library.seal, args=("penalty", ["r09"]))
    sealer.start()
    go_on.set()
    opener.join(60)
    sealer.join(60)
    assert withheld(library.current("penalty")) == ["r09"]


def test_a_refused_source_leaves_the_served_snapshot_alone(tmp_path):
    library = SnapshotLibrary(tmp_path)
    first = admit(library)
    with pytest.raises(SchemaDriftError):
        admit(library, [], schema=SCHEMA.remove(0))
    assert library.current("penalty") is first
    assert len(list((tmp_path / "penalty").iterdir())) == 2


def test_the_same_content_in_the_same_second_is_one_snapshot(tmp_path):
    library = SnapshotLibrary(tmp_path)
    assert admit(library).snapshot_id == admit(library).snapshot_id
    assert len(list((tmp_path / "penalty").iterdir())) == 2


def test_retiring_keeps_what_is_current_open_or_wanted(tmp_path):
    library = SnapshotLibrary(tmp_path)
    ids = [admit(library, now=now).snapshot_id for now in range(1000, 1004)]
    gc.collect()
    reader = library.pinned("penalty", ids[1])
    assert library.retire("penalty", keep=[ids[2]]) == (ids[0],)
    assert reader.rows == 40
    del reader
    gc.collect()
    assert sorted(library.retire("penalty")) == sorted(ids[1:3])
    assert library.current("penalty").snapshot_id == ids[3]


def test_what_a_crashed_admission_left_is_removed_on_request_only(tmp_path):
    library = SnapshotLibrary(tmp_path)
    first = admit(library)
    left = tmp_path / "penalty" / ".admitting-0123"
    left.mkdir()
    (left / "spool").write_bytes(b"records")
    assert library.retire("penalty") == ()
    assert library.retire("penalty", abandoned=True) == (left.name,)
    assert library.current("penalty") is first


def test_a_flipped_byte_is_found_when_verification_is_on(tmp_path):
    first = admit(SnapshotLibrary(tmp_path))
    path = first.directory / "expiry.bin"
    path.write_bytes(b"\xff" + path.read_bytes()[1:])
    assert SnapshotLibrary(tmp_path).current("penalty").rows == 40
    with pytest.raises(SnapshotDamagedError):
        SnapshotLibrary(tmp_path, verify=True).current("penalty")


def test_records_at_rest_are_the_gateways_alone(tmp_path):
    first = admit(SnapshotLibrary(tmp_path))
    assert first.directory.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"", b"../../etc\n", b"\xff" * 64, b"0" * 64])
def test_a_damaged_pointer_serves_nothing(tmp_path, content):
    admit(SnapshotLibrary(tmp_path))
    (tmp_path / "penalty" / POINTER).write_bytes(content)
    with pytest.raises(SnapshotDamagedError):
        SnapshotLibrary(tmp_path).current("penalty")


def test_a_snapshot_in_another_ones_place_is_not_served(tmp_path):
    library = SnapshotLibrary(tmp_path)
    first, second = admit(library), admit(library, ROWS[:5], now=2000)
    home = tmp_path / "penalty"
    (home / first.snapshot_id).rename(tmp_path / "aside")
    (home / second.snapshot_id).rename(home / first.snapshot_id)
    with pytest.raises(SnapshotDamagedError):
        SnapshotLibrary(tmp_path).pinned("penalty", first.snapshot_id)


def test_activating_what_is_not_there_is_refused(tmp_path):
    library = SnapshotLibrary(tmp_path)
    first = admit(library)
    with pytest.raises(NotFoundError):
        library.activate("penalty", "0" * 64)
    assert library.current("penalty") is first


def test_a_change_reaches_every_open_snapshot_and_opens_none(tmp_path):
    library = SnapshotLibrary(tmp_path)
    first = admit(library)
    second = admit(library, now=2000)
    library.change("penalty", lambda snapshot: snapshot.seal(["r07"]))
    assert withheld(first) == withheld(second) == ["r07"]
    fresh, touched = SnapshotLibrary(tmp_path), []
    fresh.change("penalty", touched.append)
    assert touched == []


def test_starting_over_brings_open_snapshots_in_line_with_the_state(tmp_path):
    sealed, prepared = ["r03"], []
    library = SnapshotLibrary(tmp_path, lambda _: [sealed], prepare=prepared.append)
    snapshot = admit(library)
    library.seal("penalty", ["r05"])
    sealed[:] = ["r04"]
    library.start_over()
    assert withheld(snapshot) == ["r04"]
    assert prepared == [snapshot, snapshot]
