"""What every feed keeps, whatever it is made of."""

import json

import pytest

from gateway.repair.feed import MAX_CONTENT_BYTES, FeedError, ItemKind
from gateway.repair.file_feed import FileFeed
from gateway.repair.table_feed import TableFeed

DECISION, ASSURANCE = ItemKind.DECISION, ItemKind.ASSURANCE


class OneFile:
    def __init__(self, tmp_path):
        self.path = tmp_path / "decisions.jsonl"
        self.feed = FileFeed(self.path)

    def put(self, document: str, kind: str = "decision") -> None:
        with self.path.open("a", encoding="utf-8") as sink:
            sink.write(json.dumps({"v": 1, kind: document}) + "\n")


class ManyFiles(OneFile):
    """Each item in a file of its own."""

    def __init__(self, tmp_path):
        self.folder = tmp_path / "decisions"
        self.folder.mkdir()
        self.feed = FileFeed(self.folder)
        self.count = 0

    def put(self, document: str, kind: str = "decision") -> None:
        self.path = self.folder / f"{self.count:06d}.jsonl"
        self.count += 1
        super().put(document, kind)


class Table:
    def __init__(self, change_table):
        self.table = change_table
        self.feed = TableFeed(change_table.dsn, change_table.name, timeout_ms=5_000)

    def put(self, document: str, kind: str = "decision") -> None:
        self.table.write(document, kind)


@pytest.fixture(params=["file", "directory", "table"])
def made(request, tmp_path):
    if request.param == "table":
        made = Table(request.getfixturevalue("change_table"))
    else:
        made = (OneFile if request.param == "file" else ManyFiles)(tmp_path)
    yield made
    made.feed.close()


def contents(page) -> list[str]:
    return [item.content for item in page.items]


def test_an_empty_feed_is_at_its_end(made):
    page = made.feed.read("", 10)
    assert (page.items, page.at_end) == ((), True)
    assert made.feed.read(page.position, 10).items == ()


def test_items_come_in_their_order_and_once(made):
    for number in range(7):
        made.put(f"d{number}")
    got, position = [], ""
    for _ in range(10):
        page = made.feed.read(position, 3)
        assert len(page.items) <= 3
        got += contents(page)
        position = page.position
        if page.at_end:
            break
    assert got == [f"d{number}" for number in range(7)]
    assert made.feed.read(position, 3).items == ()


def test_every_item_can_be_resumed_after(made):
    for number in range(5):
        made.put(f"d{number}")
    items = made.feed.read("", 10).items
    for number, item in enumerate(items):
        later = made.feed.read(item.position, 10)
        assert contents(later) == [f"d{n}" for n in range(number + 1, 5)]
    # The same position gives the same items, places and positions.
    assert made.feed.read(items[1].position, 2).items == items[2:4]


def test_what_is_added_later_comes_later(made):
    made.put("first")
    page = made.feed.read("", 10)
    assert contents(page) == ["first"]
    made.put("second", "assurance")
    later = made.feed.read(page.position, 10)
    assert [(item.kind, item.content) for item in later.items] == [(ASSURANCE, "second")]
    assert later.items[0].place != page.items[0].place


def test_an_item_that_is_too_long_is_broken_and_not_lost(made):
    made.put("x" * (MAX_CONTENT_BYTES + 1))
    made.put("next")
    first, second = made.feed.read("", 10).items
    assert first.kind is ItemKind.BROKEN
    assert len(first.content.encode()) <= MAX_CONTENT_BYTES
    assert (second.kind, second.content) == (DECISION, "next")


@pytest.mark.parametrize("position", ["nonsense", "{}", '{"v": 1}', "[]", '"text"'])
def test_a_position_of_something_else_is_refused(made, position):
    made.put("first")
    with pytest.raises(FeedError) as caught:
        made.feed.read(position, 10)
    assert caught.value.code == "FEED_REWOUND"


def test_reading_goes_on_after_closing(made):
    made.put("first")
    page = made.feed.read("", 1)
    made.feed.close()
    made.put("second")
    assert contents(made.feed.read(page.position, 5)) == ["second"]
