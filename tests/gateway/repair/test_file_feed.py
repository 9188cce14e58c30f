"""Files as feeds: torn lines, broken lines, files that are not what they were."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.repair.feed import FeedError, ItemKind
from gateway.repair.file_feed import FileFeed


def line(document: str) -> str:
    return json.dumps({"v": 1, "decision": document}) + "\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "decisions.jsonl"


def test_a_torn_last_line_waits_for_its_rest(path):
    whole = line("second")
    path.write_text(line("first") + whole[:9])
    feed = FileFeed(path)
    page = feed.read("", 10)
    assert [item.content for item in page.items] == ["first"]
    assert page.at_end
    assert feed.read(page.position, 10).items == ()
    with path.open("a") as sink:
        sink.write(whole[9:])
    assert [item.content for item in feed.read(page.position, 10).items] == ["second"]


def test_the_torn_last_line_of_a_file_that_was_left_counts_as_it_is(tmp_path):
    (tmp_path / "1.jsonl").write_text(line("first") + '{"v": 1, "dec')
    (tmp_path / "2.jsonl").write_text(line("second"))
    items = FileFeed(tmp_path).read("", 10).items
    assert [(item.place, item.kind) for item in items] == [
        ("1.jsonl:1", ItemKind.DECISION),
        ("1.jsonl:2", ItemKind.BROKEN),
        ("2.jsonl:1", ItemKind.DECISION),
    ]
    assert items[1].content == '{"v": 1, "dec'


@pytest.mark.parametrize(
    "broken",
    [
        "not json",
        "[]",
        "{}",
        '{"v": 2, "decision": "x"}',
        '{"decision": "x"}',
        '{"v": 1, "decision": 7}',
        '{"v": 1, "decision": "x", "more": 1}',
        '{"v": 1, "decision": "x", "decision": "y"}',
        '{"v": 1, "order": "x"}',
        '{"v": true, "decision": "x"',
        "\x00\x01",
        "[" * 5_000,
    ],
)
def test_a_broken_line_is_named_by_its_number_and_the_next_one_comes(path, broken):
    path.write_text(line("first") + "\n" + broken + "\n" + line("last"))
    items = FileFeed(path).read("", 10).items
    assert [(item.place, item.kind) for item in items] == [
        ("decisions.jsonl:1", ItemKind.DECISION),
        ("decisions.jsonl:3", ItemKind.BROKEN),
        ("decisions.jsonl:4", ItemKind.DECISION),
    ]
    assert items[1].content == broken.strip()


def test_bytes_that_are_no_text_are_broken_and_not_lost(path):
    path.write_bytes(b"\xff\xfe\n" + line("next").encode())
    first, second = FileFeed(path).read("", 10).items
    assert first.kind is ItemKind.BROKEN
    assert second.content == "next"


@pytest.mark.parametrize("damage", ["cut", "edited", "replaced", "gone"])
def test_a_file_that_is_not_the_one_that_was_read_is_noticed(path, damage):
    path.write_text("".join(line(f"d{number}") for number in range(5)))
    feed = FileFeed(path)
    position = feed.read("", 3).position
    text = path.read_text()
    if damage == "cut":
        path.write_text(text[:10])
    elif damage == "edited":
        path.write_text(text.replace("d2", "dX"))
    elif damage == "replaced":
        path.write_text("".join(line(f"other{number}") for number in range(9)))
    else:
        path.unlink()
    with pytest.raises(FeedError) as caught:
        feed.read(position, 3)
    assert caught.value.code == "FEED_REWOUND"


def test_files_that_were_read_may_be_taken_away(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.jsonl").write_text(line(f"d{number}"))
    (tmp_path / "notes.txt").write_text("not a part of the feed")
    (tmp_path / ".9.jsonl").write_text("half copied")
    feed = FileFeed(tmp_path)
    page = feed.read("", 10)
    (tmp_path / "0.jsonl").unlink()
    (tmp_path / "1.jsonl").unlink()
    (tmp_path / "3.jsonl").write_text(line("d3"))
    assert [item.content for item in feed.read(page.position, 10).items] == ["d3"]


def test_a_file_that_is_missing_is_an_empty_feed(path):
    assert FileFeed(path).read("", 10).at_end


def test_a_file_that_may_not_be_read_is_told_without_its_name(tmp_path):
    folder = tmp_path / "secret-name.jsonl"
    folder.mkdir()
    (folder / "1.jsonl").symlink_to(tmp_path / "nowhere")
    assert FileFeed(folder).read("", 10).items == ()
    loop = tmp_path / "loop.jsonl"
    loop.symlink_to(loop)
    assert FileFeed(loop).read("", 10).items == ()


DOCUMENTS = st.lists(st.text(st.characters(codec="utf-8"), max_size=30), max_size=8)


@given(DOCUMENTS, st.data())
def test_however_a_file_grows_every_line_comes_once(tmp_path_factory, documents, data):
    path = tmp_path_factory.mktemp("feed") / "decisions.jsonl"
    raw = "".join(line(document) for document in documents).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=5)))
    feed, got, position = FileFeed(path), [], ""
    for end in [*cuts, len(raw)]:
        path.write_bytes(raw[:end])
        page = feed.read(position, 100)
        got += [item.content for item in page.items]
        position = page.position
    assert got == documents
