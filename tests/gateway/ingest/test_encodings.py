"""Encodings of published files, and text that an earlier conversion destroyed."""

import pytest

from gateway.ingest.encodings import EncodingError, decode, is_destroyed, narrow


@pytest.mark.parametrize(
    ("codec", "name"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("gb18030", "gb18030"), ("gbk", "gb18030")],
)
def test_both_encodings_are_recognised(codec, name):
    assert decode("企业名称,示例公司".encode(codec)) == ("企业名称,示例公司", name)


@pytest.mark.parametrize(
    "content", ["企业".encode("utf-16"), b"PAR1\x00\x01", b"\xff\xff\xff", "企业".encode("utf-32")]
)
def test_other_bytes_are_refused(content):
    with pytest.raises(EncodingError):
        decode(content)


@pytest.mark.parametrize("text", ["\ufffd司", "锟斤拷", "示例???公司", "a\x1fb", "\ue000", "\x85"])
def test_destroyed_text_is_noticed(text):
    assert is_destroyed(text)


@pytest.mark.parametrize("text", ["海南示例有限公司", "是否?", "DC城（甲）·乙", "㐀𠀀", "a\tb\n"])
def test_sound_text_is_not(text):
    assert not is_destroyed(text)


@pytest.mark.parametrize("text", ["海南示例商贸有限公司", "三亚示例旅行社", "示例范围，日用百货"])
def test_text_that_was_decoded_wrongly_is_noticed(text):
    assert is_destroyed(text.encode("gb18030").decode("utf-8", errors="replace"))


def test_codes_and_amounts_become_narrow():
    assert narrow("　９１４６（Ａ）， ") == "9146(A),"
