"""Change tables: what becomes visible late is not lost, and nothing of the address leaves."""

from pathlib import Path
from textwrap import indent

import psycopg
import pytest

from gateway.repair.feed import FeedError, ItemKind
from gateway.repair.table_feed import TableFeed, read_dsn
from tests.conftest import ROOT
from tests.gateway.repair.conftest import DDL


@pytest.fixture
def feed(change_table):
    feed = TableFeed(change_table.dsn, change_table.name, timeout_ms=5_000)
    yield feed
    feed.close()


def contents(page) -> list[str]:
    return [item.content for item in page.items]


def test_a_row_that_commits_after_a_later_one_is_not_lost(change_table, feed):
    """The trap of every feed by a rising number: the lower one becomes visible second."""
    with change_table.connect(autocommit=False) as slow:
        change_table.write("slow", connection=slow)  # it has the lower number and is not visible
        change_table.write("quick")
        page = feed.read("", 10)
        assert contents(page) == []  # the quick one waits for whoever began before it
        assert page.at_end
        slow.commit()
    page = feed.read(page.position, 10)
    assert contents(page) == ["slow", "quick"]
    assert feed.read(page.position, 10).items == ()


def test_a_transaction_that_is_taken_back_holds_nothing_up(change_table, feed):
    with change_table.connect(autocommit=False) as doomed:
        change_table.write("never", connection=doomed)
        doomed.rollback()
    change_table.write("after")
    assert contents(feed.read("", 10)) == ["after"]


def test_rows_of_one_transaction_keep_their_order(change_table, feed):
    with change_table.connect(autocommit=False) as writer:
        for number in range(5):
            change_table.write(f"d{number}", connection=writer)
        writer.commit()
    assert contents(feed.read("", 2)) == ["d0", "d1"]
    items = feed.read("", 10).items
    assert [item.content for item in items] == [f"d{number}" for number in range(5)]
    assert [item.place for item in items] == [f"row:{number}" for number in range(1, 6)]


def test_a_database_that_went_back_is_noticed(change_table, feed):
    change_table.write("d")
    position = feed.read("", 10).items[0].position
    ahead = position.replace('"transaction": ', '"transaction": 9')
    with pytest.raises(FeedError) as caught:
        feed.read(ahead, 10)
    assert caught.value.code == "FEED_REWOUND"


def test_a_kind_that_nobody_knows_is_broken(change_table, feed):
    with change_table.connect() as writer:
        writer.execute(
            f"ALTER TABLE {change_table.name} DROP CONSTRAINT {change_table.name}_kind_check"
        )
    change_table.write("d", "order")
    change_table.write("", "decision")
    assert [item.kind for item in feed.read("", 10).items] == [ItemKind.BROKEN] * 2


def test_a_connection_that_broke_is_made_anew(change_table, feed):
    change_table.write("first")
    page = feed.read("", 10)
    with change_table.connect() as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'xinguan-feed'"
        )
    with pytest.raises(FeedError) as caught:
        feed.read(page.position, 10)
    assert caught.value.code == "FEED_UNREADABLE"
    change_table.write("second")
    assert contents(feed.read(page.position, 10)) == ["second"]


def test_the_reader_can_not_write(change_table, feed):
    feed.read("", 1)
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        feed._connection.execute(f"DELETE FROM {change_table.name}")


@pytest.mark.parametrize("table", ["nowhere", "no.where", 'x" ; DROP TABLE y; --'])
def test_what_goes_wrong_tells_neither_address_nor_name(postgres, table):
    feed = TableFeed(postgres, table, timeout_ms=2_000)
    with pytest.raises(FeedError) as caught:
        feed.read("", 10)
    assert caught.value.__cause__ is None
    assert str(caught.value) == "the change table can't be read"
    feed.close()


def test_nobody_at_the_address():
    feed = TableFeed("postgresql://nobody:secret@127.0.0.1:1/x", "t", timeout_ms=500)
    with pytest.raises(FeedError) as caught:
        feed.read("", 10)
    assert "secret" not in str(caught.value)


def test_the_connection_string_comes_from_a_private_file_or_the_environment(tmp_path):
    file = tmp_path / "feed.dsn"
    file.write_text("postgresql://feed\n")
    file.chmod(0o600)
    assert read_dsn(file, "", {}) == "postgresql://feed"
    assert read_dsn(None, "FEED_DSN", {"FEED_DSN": "postgresql://env"}) == "postgresql://env"
    for mode in (0o640, 0o604):
        file.chmod(mode)
        with pytest.raises(FeedError):
            read_dsn(file, "", {})
    for missing in (lambda: read_dsn(tmp_path / "none", "", {}), lambda: read_dsn(None, "NO", {})):
        with pytest.raises(FeedError):
            missing()


def test_the_documented_table_is_the_one_that_is_tested():
    page = Path(ROOT / "docs" / "feeds.md").read_text(encoding="utf-8")
    shown = indent(DDL.format(name="repair_changes"), "    ")
    assert shown.strip() in page
