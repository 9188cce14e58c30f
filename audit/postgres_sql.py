"""Portable SQL as PostgreSQL reads it: a small, strict translation, by tokens.

    ?                       $1, $2, ... outside of literals, quoted names and comments
    INTEGER, BLOB, TEXT     BIGINT, BYTEA, TEXT COLLATE "C" (in the order of bytes, as SQLite)
    STRICT, WITHOUT ROWID   nothing, after the bracket that ends a CREATE TABLE
    group_concat            string_agg, which takes the same: a text and what goes between

What only SQLite understands is refused rather than guessed at.
"""

import re
from functools import lru_cache
from typing import Final

_TOKENS: Final = re.compile(
    r"'(?:[^']|'')*'"  # a literal; a quote in it is doubled
    r'|"(?:[^"]|"")*"'  # a quoted name
    r"|--[^\n]*"
    r"|/\*.*?\*/"
    r"|[A-Za-z_][A-Za-z0-9_]*"
    r"|\?|\s+|.",
    re.DOTALL,
)
_TYPES: Final = {"INTEGER": "BIGINT", "BLOB": "BYTEA", "TEXT": 'TEXT COLLATE "C"'}
_FUNCTIONS: Final = {"group_concat": "string_agg"}
_DEFINES: Final = frozenset({"CREATE", "ALTER", "DROP"})
_TABLE_OPTIONS: Final = re.compile(
    r"\)\s*(?:STRICT|WITHOUT\s+ROWID)(?:\s*,\s*(?:STRICT|WITHOUT\s+ROWID))*\s*;?\s*$", re.IGNORECASE
)
_NOT_PORTABLE: Final = re.compile(
    r"\b(?:INSERT\s+OR|UPDATE\s+OR|REPLACE\s+INTO|AUTOINCREMENT|PRAGMA|ATTACH|GLOB)\b"
    r"|\b(?:sqlite_|rowid\b|ifnull\s*\(|strftime\s*\(|julianday\s*\(|json_)",
    re.IGNORECASE,
)
_COMMENTS: Final = ("--", "/*")


def is_definition(sql: str) -> bool:
    """Tell whether a statement changes the schema, which may take its time."""
    return first_word(sql) in _DEFINES


def first_word(sql: str) -> str:
    """Return the first word of a statement in capitals, past comments."""
    for match in _TOKENS.finditer(sql):
        token = match[0]
        if not token.isspace() and not token.startswith(_COMMENTS):
            return token.upper()
    return ""


@lru_cache(maxsize=1024)
def translate(sql: str) -> str:
    """Return a statement of the portable dialect as PostgreSQL takes it.

    Args:
        sql: One statement with positional `?` parameters.

    Raises:
        ValueError: It isn't portable: it has words of one database only, `$`, `:name`
            parameters, a literal without an end, or more than one statement.
    """
    tokens = [token for token in _TOKENS.findall(sql) if not token.startswith(_COMMENTS)]
    defines = is_definition(sql)
    made: list[str] = []
    bare: list[str] = []  # what stands outside of literals and quoted names
    count = 0
    for place, word in enumerate(tokens):
        if word == "?":
            count += 1
            made.append(f"${count}")
        elif word in ("'", '"', "$", "`"):
            raise ValueError("a literal has no end, or a character is not of the portable dialect")
        elif word == ";" and any(not rest.isspace() for rest in tokens[place + 1 :]):
            raise ValueError("one statement at a time")
        elif word in _FUNCTIONS:
            made.append(_FUNCTIONS[word])
        elif defines and word.upper() in _TYPES:
            made.append(_TYPES[word.upper()])
        else:
            made.append(word)
        bare.append(" " if word[0] in "'\"" else word)
    outside = "".join(bare)
    if defines:
        outside = _TABLE_OPTIONS.sub(")", outside)
    if _NOT_PORTABLE.search(outside) or re.search(r"(?<!:):[A-Za-z]", outside):
        raise ValueError("a word or a parameter is not of the portable dialect")
    text = "".join(made)
    return _TABLE_OPTIONS.sub(")", text) if defines else text
