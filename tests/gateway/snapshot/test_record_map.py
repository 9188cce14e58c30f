"""What stays of a removed snapshot: its rows' records, and nothing of their content."""

import gc

import pytest

from gateway.snapshot.errors import SnapshotDamagedError
from gateway.snapshot.library import SnapshotLibrary
from gateway.snapshot.record_map import RecordMap, find_in_snapshot, map_path, mapped_ids, write_map
from tests.gateway.snapshot.test_library import ROWS, admit


def test_the_map_says_what_the_snapshot_said(tmp_path):
    library = SnapshotLibrary(tmp_path)
    first = admit(library)
    home, identity = tmp_path / "penalty", first.snapshot_id
    keys = ["r07", "r31", "unknown"]
    before = find_in_snapshot(first, keys)
    assert {row.record for row in before} == {"r07", "r31"}
    admit(library, ROWS[:5], now=2000)
    del first
    gc.collect()
    assert library.retire("penalty") == (identity,)
    assert mapped_ids(home) == {identity}
    assert RecordMap(home, identity).find(keys) == before
    assert RecordMap(home, identity).find([]) == []
    path = map_path(home, identity)
    assert path.stat().st_mode & 0o077 == 0
    assert "企业".encode() not in path.read_bytes()
    assert library.products() == ("penalty",)


def test_a_snapshot_whose_map_cannot_be_written_stays(tmp_path, monkeypatch):
    library = SnapshotLibrary(tmp_path)
    first = admit(library)
    identity = first.snapshot_id
    admit(library, ROWS[:5], now=2000)
    del first
    gc.collect()

    def full(*_):
        raise OSError(28, "no space")

    monkeypatch.setattr("gateway.snapshot.library.write_map", full)
    with pytest.raises(OSError, match="no space"):
        library.retire("penalty")
    assert identity in library.kept("penalty")


def test_writing_again_changes_nothing(tmp_path):
    snapshot = admit(SnapshotLibrary(tmp_path))
    path = write_map(snapshot, tmp_path)
    content = path.read_bytes()
    assert write_map(snapshot, tmp_path) == path
    assert path.read_bytes() == content


@pytest.mark.parametrize("damage", ["cut", "flipped", "missing", "anothers"])
def test_a_damaged_map_is_refused(tmp_path, damage):
    snapshot = admit(SnapshotLibrary(tmp_path))
    path = write_map(snapshot, tmp_path)
    content = bytearray(path.read_bytes())
    identity = snapshot.snapshot_id
    if damage == "cut":
        path.write_bytes(content[:-40])
    elif damage == "flipped":
        content[content.index(b"r07") + 1] ^= 1
        path.write_bytes(content)
    elif damage == "missing":
        path.unlink()
    else:
        identity = "0" * 64
        path.rename(map_path(tmp_path, identity))
    with pytest.raises(SnapshotDamagedError):
        RecordMap(tmp_path, identity)
