import json
import time

import pytest

from tests.simulator import uscc


@pytest.fixture
def stated(xinguan, tmp_path):
    xinguan.do("party", "add", uscc(1), "--name", "同意", "--role", "CONSENT_ISSUER")
    xinguan.do("party", "add", uscc(2), "--name", "银行", "--role", "BANK")
    xinguan.do("party", "key", "issue", uscc(1), "--out", tmp_path / "issuer")
    path = tmp_path / "consent.json"
    now = int(time.time())
    path.write_text(
        json.dumps(
            {
                "consent_id": "C-1",
                "subjects": [uscc(900)],
                "grantor": "示例主体",
                "processor": "示例平台",
                "recipient": f"uscc:{uscc(2)}",
                "recipient_name": "示例银行",
                "recipient_contact": "desk 1",
                "purpose_codes": ["CREDIT_REPORT"],
                "data_kinds": ["legal_entity_base"],
                "mode": "WRITTEN",
                "given_at": now - 60,
                "expires_at": "2096-01-01",
                "evidence_hash": "ab" * 32,
                "text_version": "v1",
            }
        )
    )
    return path


def test_a_consent_is_registered_listed_and_withdrawn(xinguan, stated, tmp_path) -> None:
    key = tmp_path / "issuer/document.key"
    made = xinguan.do("consent", "register", stated, "--key", key)
    assert (made["subjects"], made["withdrawn"]) == (1, "")
    listed = xinguan("consent", "list")
    assert "C-1" in listed.out
    assert uscc(900) not in listed.out
    assert xinguan.refuse("consent", "register", stated, "--key", key) == "CONFLICT"
    ended = xinguan.do("consent", "withdraw", "C-1")
    assert ended["withdrawn"]
    assert ended["entry"] > made["entry"]
    assert xinguan.refuse("consent", "withdraw", "C-1") == "CONFLICT"
    assert xinguan.refuse("consent", "withdraw", "C-2") == "CONSENT_UNKNOWN"


def test_an_unsigned_or_strange_consent_is_refused(xinguan, stated) -> None:
    assert xinguan.refuse("consent", "register", stated) == "BAD_DOCUMENT"
    authority = xinguan.home / "dev-authority/authority.key"
    refused = xinguan.refuse("consent", "register", stated, "--key", authority)
    assert refused == "BAD_SIGNATURE"


def test_keys_that_others_can_read_are_refused(xinguan, stated, tmp_path) -> None:
    key = tmp_path / "issuer/document.key"
    key.chmod(0o644)
    assert xinguan.refuse("consent", "register", stated, "--key", key) == "BAD_FILE_MODE"
    key.chmod(0o600)
    (xinguan.home / "gateway/keys/opening.key").chmod(0o640)
    assert xinguan.refuse("consent", "register", stated, "--key", key) == "BAD_FILE_MODE"
