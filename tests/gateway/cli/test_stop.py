from tests.simulator import uscc


def test_a_stop_holds_until_it_is_lifted(xinguan) -> None:
    assert xinguan.do("stop-egress") == []
    for option in (("--all",), ("--org", uscc(1)), ("--product", "admin_penalty")):
        assert xinguan.do("stop-egress", *option)["stopped"]
        assert xinguan.refuse("stop-egress", *option) == "CONFLICT"
    scopes = {row["scope"] for row in xinguan.do("stop-egress")}
    assert scopes == {"all", f"org:uscc:{uscc(1)}", "product:admin_penalty"}
    xinguan.do("stop-egress", "--all", "--lift")
    assert xinguan.refuse("stop-egress", "--all", "--lift") == "NOT_FOUND"
    assert len(xinguan.do("stop-egress")) == 2


def test_an_unclear_scope_stops_nothing(xinguan) -> None:
    assert xinguan("stop-egress", "--all", "--product", "x").code == 2
    assert xinguan("stop-egress", "--lift").code == 2
    assert xinguan.refuse("stop-egress", "--org", "nobody") == "BAD_ID"
    assert xinguan.refuse("stop-egress", "--product", "Bad Name") == "BAD_REQUEST"
    assert xinguan.do("stop-egress") == []


def test_why_egress_was_stopped_stands_in_the_log(xinguan) -> None:
    stopped = xinguan.do("stop-egress", "--all", "--reason", "应急演练")
    assert xinguan.entry(stopped["entry"])["reason"] == "应急演练"
    lifted = xinguan.do("stop-egress", "--all", "--lift", "--reason", "drill is over")
    assert xinguan.entry(lifted["entry"])["reason"] == "drill is over"
    assert xinguan.refuse("stop-egress", "--all", "--reason", "two\nlines") == "BAD_REQUEST"
    assert xinguan.do("stop-egress") == []


def test_a_scope_that_came_out_empty_is_no_success(xinguan) -> None:
    assert xinguan("stop-egress", "--org", "", "--reason", "emergency").code == 2
    assert xinguan("stop-egress", "--product", "").code == 2
    assert xinguan("stop-egress", "--reason", "emergency").code == 2
    assert xinguan.do("stop-egress") == []


def test_a_stop_of_what_is_not_here_holds_and_says_so(xinguan) -> None:
    for option in (("--product", "admin_penaltys"), ("--org", uscc(1))):
        done = xinguan.do("stop-egress", *option)
        assert (done["stopped"], done["names_something_here"]) == (True, False)
    for option in (("--product", "admin_penalty"), ("--all",)):
        assert xinguan.do("stop-egress", *option)["names_something_here"]
