"""A witness over HTTP, as any log's client meets it: the cases of the protocol one by one."""

from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from audit.witness_protocol import MAX_REQUEST_BYTES, format_request, origin_hash
from tests.audit.http_world import TestWitness, served
from tests.audit.log_home import ORIGIN
from tests.audit.test_witness import OTHER, head, request


def call(url, data=None, method=None):
    """Ask with the standard library, which knows nothing of ours."""
    asked = Request(url, data=data, method=method)  # noqa: S310 - our own server
    try:
        with urlopen(asked, timeout=60) as answer:  # noqa: S310 - our own server
            return answer.status, answer.headers, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


@pytest.fixture
def url(tmp_path):
    witness = TestWitness(tmp_path)
    with served(witness.app) as url:
        yield url
    witness.core.close()


def test_the_script_of_a_witness_s_life(url):
    """The order of cases of litewitness's own script, with the answers of tlog-witness 1.0.0."""
    add = f"{url}/add-checkpoint"
    assert call(f"{url}/{origin_hash(ORIGIN)}/checkpoint")[0] == 404
    assert call(add, b"nonsense")[0] == 400
    assert call(add, request(0, 7).replace(ORIGIN.encode(), b"example.com/other"))[0] == 404
    assert call(add, format_request(0, [], head(7).replace(b"7\n", b"8\n", 1)))[0] == 403
    assert call(add, format_request(8, [], head(7)))[0] == 400
    status, headers, body = call(add, request(5, 7))
    assert (status, headers["Content-Type"], body) == (409, "text/x.tlog.size", b"0\n")
    status, headers, body = call(add, request(0, 7))
    assert status == 200
    assert body.startswith("— witness.example/w1 ".encode())
    assert body.endswith(b"\n")
    status, headers, body = call(add, request(0, 9))
    assert (status, headers["Content-Type"], body) == (409, "text/x.tlog.size", b"7\n")
    assert call(add, request(7, 9, hashes=[]))[0] == 422
    assert call(add, request(7, 7, OTHER))[0] == 422
    assert call(add, request(7, 9))[0] == 200
    assert call(add, request(9, 9))[0] == 200
    status, headers, body = call(f"{url}/{origin_hash(ORIGIN)}/checkpoint")
    assert (status, body) == (200, head(9))
    assert headers["Content-Type"] == "text/plain; charset=utf-8"


def test_other_paths_and_methods_have_nothing(url):
    assert call(f"{url}/add-checkpoint")[0] == 405
    assert call(f"{url}/")[0] == 404
    assert call(f"{url}/{'0' * 64}/checkpoint")[0] == 404
    assert call(f"{url}/{'0' * 63}/checkpoint")[0] == 404
    assert call(f"{url}/add-checkpoint", b"x" * (MAX_REQUEST_BYTES + 1))[0] == 413


def test_one_that_cannot_keep_anything_says_so(tmp_path, monkeypatch):
    witness = TestWitness(tmp_path)
    witness.core._connection.execute("DROP TABLE witness_seen")
    with served(witness.app) as url:
        assert call(f"{url}/add-checkpoint", request(0, 7))[0] == 503
    witness.core.close()
