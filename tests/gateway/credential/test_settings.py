"""Settings of credentials: what no partner could use is refused at the start."""

import pytest
from pydantic import ValidationError

from gateway.credential_settings import CredentialSettings


@pytest.mark.parametrize(
    "issuer", ["", "https://a.example", "https://a.example:8443", "http://127.0.0.1:80"]
)
def test_an_issuer_is_an_origin(issuer):
    assert CredentialSettings(issuer=issuer).issuer == issuer


@pytest.mark.parametrize(
    "issuer",
    [
        "a.example", "http://a.example", "https://a.example/", "https://a.example/x", "https://",
        "https://u:p@a.example", "ftp://a.example", "https://a.example?x",
    ],
)  # fmt: skip
def test_what_is_none_is_refused(issuer):
    with pytest.raises(ValidationError):
        CredentialSettings(issuer=issuer)


@pytest.mark.parametrize(
    "words",
    [{"list_entries": 131_071}, {"list_entries": 131_073}, {"validity_s": 32 * 86_400},
     {"http_listen": "x"}, {"ttl_s": 0}, {"unknown": 1}],
)  # fmt: skip
def test_limits_hold(words):
    with pytest.raises(ValidationError):
        CredentialSettings(**words)
