import pytest

from tests.simulator import uscc

PARTNER = "reg:SG:201912345K"
WHICH = ("--partner", PARTNER, "--product", "legal_entity_base")


@pytest.fixture
def keys(xinguan, tmp_path):
    found = {}
    xinguan.do("party", "add", PARTNER, "--name", "Partner", "--role", "CROSS_BORDER_PARTNER")
    for number, role in ((1, "SECURITY_ADMIN"), (2, "AUTHORITY"), (3, "BANK")):
        xinguan.do("party", "add", uscc(number), "--name", role, "--role", role, "--no-certificate")
        xinguan.do("party", "key", "issue", uscc(number), "--out", tmp_path / role)
        found[role] = tmp_path / role / "document.key"
    return found


def test_two_roles_approve_what_one_proposed(xinguan, keys) -> None:
    proposed = xinguan.do("whitelist", "propose", *WHICH, "--field", "uscc", "--field", "name")
    assert (proposed["version"], proposed["state"]) == (1, "awaits approval")
    first = xinguan.do("whitelist", "approve", *WHICH, "--key", keys["SECURITY_ADMIN"])
    assert first["state"] == "awaits approval"
    second = xinguan.do("whitelist", "approve", *WHICH, "--key", keys["AUTHORITY"])
    assert second["state"] == "approved"
    assert second["approvals"] == {
        "SECURITY_ADMIN": f"uscc:{uscc(1)}",
        "AUTHORITY": f"uscc:{uscc(2)}",
    }
    assert xinguan.do("whitelist", "withdraw", *WHICH, "--version", 1)["state"] == "withdrawn"
    assert [row["state"] for row in xinguan.do("whitelist", "list")] == ["withdrawn"]


def test_nobody_else_approves_and_nobody_twice(xinguan, keys) -> None:
    xinguan.do("whitelist", "propose", *WHICH, "--field", "uscc")
    approve = ("whitelist", "approve", *WHICH, "--key")
    assert xinguan.refuse(*approve, keys["BANK"]) == "ROLE_FORBIDDEN"
    xinguan.do(*approve, keys["AUTHORITY"])
    assert xinguan.refuse(*approve, keys["AUTHORITY"]) == "CONFLICT"
    assert xinguan.refuse(*approve, keys["AUTHORITY"], "--version", 2) == "NOT_FOUND"
    assert xinguan("whitelist", "approve", *WHICH).code == 2


def test_a_proposal_at_fault_is_refused(xinguan, keys) -> None:
    propose = ("whitelist", "propose", "--product", "legal_entity_base", "--partner")
    assert xinguan.refuse(*propose, PARTNER, "--field", "Bad Field") == "BAD_DOCUMENT"
    assert xinguan.refuse(*propose, uscc(3), "--field", "uscc") == "BAD_REQUEST"
    assert xinguan.refuse(*propose, "reg:SG:NOBODY", "--field", "uscc") == "NOT_FOUND"
    assert xinguan.refuse(*propose, PARTNER, "--field", "uscc", "--from", "soon") == "BAD_DOCUMENT"
    assert xinguan.do("whitelist", "list") == []
