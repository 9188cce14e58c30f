import json

import pytest

from gateway.snapshot.errors import SnapshotDamagedError
from gateway.snapshot.manifest import MANIFEST, Manifest


@pytest.fixture
def directory(snapshot_of):
    from tests.gateway.snapshot.population import record

    return snapshot_of([record("A", "1"), record("B", "2")]).directory


def test_a_flip_of_any_byte_has_an_effect(directory):
    path = directory / MANIFEST
    good = path.read_bytes()
    for place in range(0, len(good), 5):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(SnapshotDamagedError):
            Manifest.read(directory)
    path.write_bytes(good)
    assert Manifest.read(directory).rows == 2


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b'{"manifest":{}}', b"\xff"])
def test_what_is_not_a_manifest_is_damage(directory, content):
    (directory / MANIFEST).write_bytes(content)
    with pytest.raises(SnapshotDamagedError):
        Manifest.read(directory)


def test_an_unknown_key_is_refused_even_with_a_matching_digest(directory):
    whole = json.loads((directory / MANIFEST).read_bytes())
    whole["manifest"]["note"] = "x"
    (directory / MANIFEST).write_text(json.dumps(whole))
    with pytest.raises(SnapshotDamagedError):
        Manifest.read(directory)
