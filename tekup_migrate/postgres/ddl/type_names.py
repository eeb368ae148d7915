"""Names of types as a plan writes them and as the server prints them: the same by many names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tekup_migrate.postgres.sql_text.tokens import tokens

_ALIASES: Mapping[str, str] = {
    "timestamptz": "timestamp with time zone",
    "timestamp": "timestamp without time zone",
    "timetz": "time with time zone",
    "time": "time without time zone",
    "varchar": "character varying",
    "char varying": "character varying",
    "char": "character",
    "varbit": "bit varying",
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "int2": "smallint",
    "float": "double precision",
    "float8": "double precision",
    "float4": "real",
    "bool": "boolean",
    "serial": "integer",
    "serial4": "integer",
    "bigserial": "bigint",
    "serial8": "bigint",
    "smallserial": "smallint",
    "serial2": "smallint",
    "decimal": "numeric",
    "dec": "numeric",
}
"""The left is what one may write, the right what ``format_type`` prints (chapter "Data Types" of the manual)."""
_USUAL = {"character": "1", "bit": "1"}
"""What a type without a length has as one."""
_SINGLE_PRECISION = 24
"""The binary digits up to which ``float(n)`` is ``real``."""
_SERIAL = re.compile(r"(small|big)?serial|serial[248]")


def same_type(found: str, wanted: str) -> bool:
    """Whether a type as the server prints it is the one that a plan writes, by another name or without its schema."""
    return _plain(found) == _plain(wanted)


def is_serial(type_: str) -> bool:
    """Whether it is no type but a short way to write a column that counts."""
    return _SERIAL.fullmatch(type_.strip().lower()) is not None


def _plain(type_: str) -> str:
    words: list[str] = []
    arguments, depth, array = "", 0, False
    for token in tokens(type_):
        if token.silent:
            continue
        array = array or token.text == "[" or token.keyword == "ARRAY"
        depth += (token.text in ("(", "[")) - (token.text in (")", "]"))
        if depth and token.text not in ("(", "["):
            arguments += token.text if not array else ""
        elif token.text == ".":
            words.clear()
        elif token.text not in ("(", ")", "[", "]") and token.keyword != "ARRAY":
            # A quoted "char" is another type than the one that it looks like.
            words.append(token.text if token.text == '"char"' else (token.name or token.text).lower())
    word = " ".join(words)
    if word == "float" and arguments.isdecimal() and int(arguments) <= _SINGLE_PRECISION:
        word = "real"
    word = _ALIASES.get(word, word)
    arguments = "" if word in ("real", "double precision") else arguments or _USUAL.get(word, "")
    if word == "numeric" and arguments.isdecimal():
        arguments += ",0"
    return f"{word}({arguments})" + "[]" * array
