"""Sealed files: what was sealed comes back, and nothing else ever does."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.snapshot.errors import SnapshotDamagedError
from gateway.snapshot.sealed_files import SALT_BYTES, SealedReader, SealedWriter

KEY, SALT = b"k" * 32, b"s" * SALT_BYTES
SECTIONS = st.lists(st.binary(max_size=200), max_size=6)


def seal(place, sections, *, name="rows.arrow", key=KEY, salt=SALT):
    with SealedWriter(place, name, key, salt) as sink:
        for section in sections:
            sink.section(section)
        return sink.stated()


@settings(max_examples=40, deadline=None)
@given(SECTIONS)
def test_every_section_comes_back_and_the_digest_is_of_the_whole(tmp_path_factory, sections):
    place = tmp_path_factory.mktemp("sealed")
    stated = seal(place, sections)
    reader = SealedReader(place, "rows.arrow", KEY, SALT)
    assert [reader.section(n) for n in range(reader.sections)] == sections
    whole = b"".join(sections)
    assert reader.whole() == whole
    assert (stated.size, stated.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())
    assert (place / "rows.arrow").stat().st_mode & 0o777 == 0o600


@settings(max_examples=60, deadline=None)
@given(SECTIONS.filter(bool), st.data())
def test_a_changed_byte_or_a_cut_is_found_before_anything_of_it_is_used(
    tmp_path_factory, sections, data
):
    place = tmp_path_factory.mktemp("sealed")
    seal(place, sections)
    path = place / "rows.arrow"
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    else:
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    path.write_bytes(content)
    with pytest.raises(SnapshotDamagedError):
        SealedReader(place, "rows.arrow", KEY, SALT).whole()


@pytest.mark.parametrize(
    "other",
    [
        {"key": b"K" * 32},
        {"salt": b"S" * SALT_BYTES},
        {"name": "expiry.bin"},
    ],
    ids=["another key", "another snapshot", "another file"],
)
def test_a_file_opens_in_its_own_place_only(tmp_path, other):
    seal(tmp_path, [b"one", b"two"])
    words = {"name": "rows.arrow", "key": KEY, "salt": SALT} | other
    (tmp_path / "rows.arrow").rename(tmp_path / words["name"])
    with pytest.raises(SnapshotDamagedError):
        SealedReader(tmp_path, words["name"], words["key"], words["salt"])


def test_swapped_sections_are_found(tmp_path):
    seal(tmp_path, [b"first!", b"second"])
    path = tmp_path / "rows.arrow"
    content = path.read_bytes()
    head, size = len(b"xinguan/sealed-file/v1\n"), 6 + 16
    first, second = content[head : head + size], content[head + size : head + 2 * size]
    path.write_bytes(content[:head] + second + first + content[head + 2 * size :])
    reader = SealedReader(tmp_path, "rows.arrow", KEY, SALT)
    for number in (0, 1):
        with pytest.raises(SnapshotDamagedError):
            reader.section(number)


def test_nothing_of_the_content_stands_in_the_file(tmp_path):
    seal(tmp_path, [b"91460099000000019N" * 20])
    assert b"9146" not in (tmp_path / "rows.arrow").read_bytes()


def test_a_file_is_never_written_over(tmp_path):
    seal(tmp_path, [b"x"])
    with pytest.raises(FileExistsError):
        seal(tmp_path, [b"y"])
