"""Text of published files: which encoding it is in, and whether it survived an earlier one."""

import re
import unicodedata

# Byte order marks of encodings that no published register uses; read as GB 18030 they would
# give nonsense instead of an error.
_FOREIGN_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x2b\x2f\x76")
# What a wrong decoding leaves behind: the replacement character, its bytes read as GBK
# (锟斤拷), runs of question marks, unassigned and private code points, and controls.
_DESTROYED = re.compile(
    "[\ufffd\ue000-\uf8ff\U000f0000-\U0010ffff\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|锟斤拷|\\?{3,}"
)


class EncodingError(Exception):
    """The bytes are neither UTF-8 nor GB 18030 text."""


def decode(content: bytes) -> tuple[str, str]:
    """Return the text and the name of its encoding, `utf-8` or `gb18030`.

    UTF-8 is tried first: text in GB 18030 is practically never valid UTF-8.

    Raises:
        EncodingError: When it is neither.
    """
    if content.startswith(_FOREIGN_MARKS) or b"\x00" in content:
        raise EncodingError("the file is not text in UTF-8 or GB 18030")
    for encoding, codec in (("utf-8", "utf-8-sig"), ("gb18030", "gb18030")):
        try:
            return content.decode(codec), encoding
        except UnicodeDecodeError:
            continue
    raise EncodingError("the file is not text in UTF-8 or GB 18030")


def is_destroyed(text: str) -> bool:
    """Tell whether the text was lost in an earlier conversion; nothing brings it back."""
    return _DESTROYED.search(text) is not None


def narrow(text: str) -> str:
    """Return the text with full-width characters made plain and its ends trimmed.

    For codes, dates and amounts only: names and addresses stay as their provider wrote them.
    """
    return text.strip() if text.isascii() else unicodedata.normalize("NFKC", text).strip()
