"""The log over HTTP: what is there, what is not, and who may read what."""

import gzip
import http.client
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.checkpoint import sign_checkpoint
from audit.http_log import TileName, admit_all, log_app, parse_tile
from audit.merkle import leaf_hash, root_of
from audit.tiles import TILE_WIDTH, decode_bundle, encode_bundle, tile_path
from audit.timestamps import keep_stamp
from tests.audit.http_world import served
from tests.audit.log_home import ORIGIN, SIGNER, body

SIZE = 70_000


def call(url, path, method="GET", **headers):
    """Ask for exactly this path, without any tidying up that a client library would do."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """A log of 70,000 entries, the size of the specification's example."""
    from tests.audit.log_home import LogHome

    home = LogHome(tmp_path_factory.mktemp("big") / "home")
    home.append_quickly(SIZE)
    integrator = home.integrator()
    integrator.integrate_all()
    integrator.close()
    yield home
    home.journal.close()


@pytest.fixture(scope="module")
def url(big):
    with served(log_app(big.directory)) as url:
        yield url


@pytest.fixture(scope="module")
def open_url(big):
    with served(log_app(big.directory, admit_all)) as url:
        yield url


def test_the_checkpoint_has_a_short_life(url, big):
    status, headers, note = call(url, "/checkpoint")
    assert (status, note) == (200, (big.directory / "checkpoint").read_bytes())
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["Cache-Control"] == "public, max-age=1"
    status, headers, empty = call(url, "/checkpoint", "HEAD")
    assert (status, headers["Content-Length"], empty) == (200, str(len(note)), b"")


def test_every_tile_that_the_specification_names_for_70_000_entries(url, big):
    """273 full and a partial of 112 on level 0, one full and .p/17 on 1, .p/1 on 2."""
    named = [(0, 0, 256), (0, 272, 256), (0, 273, 112), (1, 0, 256), (1, 1, 17), (2, 0, 1)]
    for level, number, width in named:
        path = tile_path(level, number, width)
        status, headers, data = call(url, f"/{path}")
        assert (status, len(data)) == (200, width * 32)
        assert data == (big.directory / path).read_bytes()
        assert headers["Content-Type"] == "application/octet-stream"
        assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
    tops = call(url, "/tile/1/000")[2] + call(url, "/tile/1/001.p/17")[2]
    leaves = [leaf_hash(body(number)) for number in range(256)]
    assert tops[:32] == root_of(leaves)


def test_a_partial_tile_of_an_earlier_checkpoint_is_still_there(url):
    full = call(url, "/tile/0/x000/x000/000")
    assert full[0] == 404  # one tile has one name
    whole = call(url, "/tile/0/000")[2]
    for width in (1, 17, 255):
        assert call(url, f"/tile/0/000.p/{width}")[2] == whole[: width * 32]
    assert call(url, "/tile/0/273.p/111")[2] == call(url, "/tile/0/273.p/112")[2][: 111 * 32]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/tile/0/273",  # not full yet
        "/tile/0/273.p/113",  # not published yet
        "/tile/0/274.p/1",
        "/tile/1/001",
        "/tile/1/001.p/18",
        "/tile/2/000",
        "/tile/3/000.p/1",
        "/tile/63/000.p/1",
        "/tile/64/000",
        "/tile/00/000",
        "/tile/-1/000",
        "/tile/0/0",
        "/tile/0/0000",
        "/tile/0/1234",
        "/tile/0/x001/234x",
        "/tile/0/x1/234",
        "/tile/0/001/234",
        "/tile/0/000.p/0",
        "/tile/0/000.p/01",
        "/tile/0/000.p/256",
        "/tile/0/000.p/",
        "/tile/0/000.p",
        "/tile/0/000/",
        "/tile/0/000.p/1/",
        "//tile/0/000",
        "/tile//0/000",
        "/tile/0/%30%30%30",
        "/.state/treeState",
        "/.state/witnessed",
        "/tile/../checkpoint",
        "/tile/../.state/treeState",
        "/../state.sqlite3",
        "/%2e%2e/state.sqlite3",
        "/..%2fstate.sqlite3",
        "/tile/0/..%2f..%2f..%2fstate.sqlite3",
        "/tile/entries/../../../state.sqlite3",
        "/checkpoint/",
        "/Checkpoint",
        "/checkpoint%00",
        "/timestamp/",
        "/timestamp/x.tsr",
        f"/timestamp/{'0' * 64}.tsr",
        f"/timestamp/{'0' * 64}.key",
        f"/timestamp/../{'0' * 64}.tsr",
    ],
)
def test_nothing_else_is_there(open_url, path):
    status, _, data = call(open_url, path)
    assert status in (400, 404), path
    assert b"SQLite" not in data


def test_a_query_changes_nothing(url):
    assert call(url, "/tile/0/000?x=1/../../x")[2] == call(url, "/tile/0/000")[2]
    assert call(url, "/?/checkpoint")[0] == 404


def test_entries_are_for_authorised_readers(url, open_url, big):
    for path in ("/tile/entries/000", "/tile/entries/273.p/112"):
        status, _, data = call(url, path)
        assert status == 403
        assert b"number" not in data
        status, headers, data = call(open_url, path)
        assert status == 200
        assert data == (big.directory / path[1:]).read_bytes()
        assert headers["Cache-Control"].startswith("private")
    assert call(open_url, "/tile/entries/273")[0] == 404
    assert call(open_url, "/tile/entries/274.p/1")[0] == 404
    part = call(open_url, "/tile/entries/000.p/3")[2]
    assert decode_bundle(part, 3) == [body(number) for number in range(3)]


def test_bundles_are_gzipped_for_whoever_asks(open_url):
    plain = call(open_url, "/tile/entries/000")
    zipped = call(open_url, "/tile/entries/000", Accept_Encoding="br, gzip;q=0.8")
    assert plain[1]["Content-Encoding"] is None
    assert zipped[1]["Content-Encoding"] == "gzip"
    assert gzip.decompress(zipped[2]) == plain[2]
    assert len(zipped[2]) < len(plain[2]) / 2
    assert plain[1]["Vary"] == zipped[1]["Vary"] == "Accept-Encoding"
    assert plain[1]["ETag"] != zipped[1]["ETag"]
    refused = call(open_url, "/tile/entries/000", Accept_Encoding="gzip;q=0")
    assert refused[1]["Content-Encoding"] is None
    assert call(open_url, "/tile/0/000", Accept_Encoding="gzip")[1]["Content-Encoding"] is None


@pytest.mark.parametrize("path", ["/checkpoint", "/tile/0/000", "/tile/entries/000"])
def test_whoever_has_it_gets_nothing_new(open_url, path):
    tag = call(open_url, path)[1]["ETag"]
    for given_tag in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        status, headers, data = call(open_url, path, If_None_Match=given_tag)
        assert (status, headers["ETag"], data) == (304, tag, b"")
    assert call(open_url, path, If_None_Match='"other"')[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_it_is_read_only(open_url, method):
    assert call(open_url, "/checkpoint", method, Content_Length="0")[0] == 405


def test_a_file_that_a_crash_left_behind_is_never_shown(home):
    """It lies in the directory under the very name; nobody has signed over it."""
    integrator = home.integrator()
    home.append(4)
    integrator.integrate_once()
    for path in ("tile/0/000.p/9", "tile/entries/000.p/9", "tile/0/000.p/3", "tile/1/000"):
        (home.directory / path).parent.mkdir(parents=True, exist_ok=True)
        (home.directory / path).write_bytes(b"torn" * 72)
    with served(log_app(home.directory, admit_all)) as url:
        assert call(url, "/tile/0/000.p/9")[0] == 404
        assert call(url, "/tile/entries/000.p/9")[0] == 404
        assert call(url, "/tile/1/000")[0] == 404
        status, _, data = call(url, "/tile/0/000.p/3")
        assert (status, data) == (200, b"".join(leaf_hash(body(n)) for n in range(3)))
        home.append(8, 4)
        integrator.integrate_once()
        expected = encode_bundle([body(number) for number in range(9)])
        assert call(url, "/tile/entries/000.p/9")[2] == expected


def test_a_directory_without_a_log_has_nothing(tmp_path):
    with served(log_app(tmp_path, admit_all)) as url:
        assert call(url, "/checkpoint")[0] == 404
        assert call(url, "/tile/0/000")[0] == 404
        assert call(url, "/timestamp")[2] == b""


def test_time_stamps_are_served_by_their_names(home):
    home.integrator().integrate_once()
    note = sign_checkpoint(ORIGIN, 3, bytes(32), [SIGNER]).note
    name = keep_stamp(home.directory, note, b"reply")
    with served(log_app(home.directory)) as url:
        assert call(url, "/timestamp")[2] == f"{name}\n".encode()
        status, headers, data = call(url, f"/timestamp/{name}.tsr")
        assert (status, data) == (200, b"reply")
        assert headers["Content-Type"] == "application/timestamp-reply"
        assert call(url, f"/timestamp/{name}.checkpoint")[2] == note


@given(st.integers(0, 7), st.integers(0, 10**12), st.integers(1, TILE_WIDTH))
def test_a_path_is_read_as_it_is_written(level, number, width):
    assert parse_tile("/" + tile_path(level, number, width)) == TileName(level, number, width)
    assert parse_tile("/" + tile_path("entries", number, width)) == TileName(None, number, width)


@given(st.text(alphabet="/tile0123456789xp.en", max_size=40))
def test_what_is_read_is_written_the_same_way(text):
    """One tile has one path: whatever is accepted comes back as it was."""
    found = parse_tile(text)
    if found is not None:
        level = "entries" if found.level is None else found.level
        assert "/" + tile_path(level, found.number, found.width) == text
