"""The issuer's files over HTTP: the known ones, with the life that the lists state."""

import urllib.error
import urllib.request

import pytest

from gateway.credential.publication import write_documents
from gateway.doors.credential_site import credential_app
from tests.audit.http_world import served


@pytest.fixture
def url(tmp_path):
    folder = tmp_path / "public"
    write_documents(
        folder,
        {
            ".well-known/jwt-vc-issuer": b"{}", "jwks.json": b"{}", "vct/a_b/1.0.0": b"{}",
            "statuslists/1": b"a.b.c", "statuslists/.1.99": b"half", "other": b"x",
        },
    )  # fmt: skip
    (tmp_path / "secret").write_text("secret")
    with served(credential_app(folder, 60)) as address:
        yield address


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (".well-known/jwt-vc-issuer", "application/json"), ("jwks.json", "application/json"),
        ("vct/a_b/1.0.0", "application/json"), ("statuslists/1", "application/statuslist+jwt"),
    ],
)  # fmt: skip
def test_a_published_file_says_how_long_it_may_be_kept(url, path, kind):
    with urllib.request.urlopen(f"{url}/{path}") as answer:  # noqa: S310 - our own server
        assert answer.headers["Content-Type"] == kind
        assert answer.headers["Cache-Control"] == "public, max-age=60"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.read()


@pytest.mark.parametrize(
    "path",
    [
        "", "other", "statuslists/2", "statuslists/.1.99", "statuslists/01", "vct/a_b/../../other",
        "../secret", "%2e%2e/secret", "vct/a_b", "statuslists/", "jwks.json/",
    ],
)  # fmt: skip
def test_nothing_else_is_there(url, path):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{url}/{path}")  # noqa: S310 - our own server
    assert caught.value.code == 404
    caught.value.close()
