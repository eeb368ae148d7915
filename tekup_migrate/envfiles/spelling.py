"""How a value is spelled in an env file so that every usual reader reads the same value.

The readers are python-dotenv, Node's ``dotenv``, Node's own ``util.parseEnv`` (which Vite uses), and the
expansion that Next.js and Vite run on what they read. They disagree about ``#``, quotes, backslashes and
``$``; the rules here are the ground they have in common, and ``tests/envfiles`` asks the real ones.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Literal

from tekup_migrate.envfiles.errors import UnsafeValueError

Quote = Literal["", "'", '"']

_QUOTES = "'\"`"
# python-dotenv decodes these after a backslash in double quotes; Node's dotenv only some of them. A line
# break is among them because it is spelled as backslash and n.
_DECODED_IN_DOUBLE = re.compile(r"\\(?:[\\'\"abfnrtv\n]|$(?!\n))")
_DECODED_IN_SINGLE = re.compile(r"\\(?:[\\']|$(?!\n))")


def spell(key: str, value: str, *, keep: Quote, tail: str = "") -> str:
    """Spell ``value`` for an env file, with the quotes that ``keep`` names if they do.

    Args:
        key: whose value it is; named in the error.
        value: what every reader is to read.
        keep: how the value that is replaced was quoted.
        tail: what follows the value on its line; a comment glued to it rules out going without quotes.

    Raises:
        UnsafeValueError: no quoting makes all the readers read the value alike.
    """
    reason = _unwritable(value)
    if reason:
        raise UnsafeValueError(key, reason)
    candidates: list[tuple[Quote, Callable[[str], bool]]] = [("", _plain), ('"', _in_double), ("'", _in_single)]
    candidates.sort(key=lambda candidate: candidate[0] != keep)
    candidates.append(("", _bare))
    for quote, fits in candidates:
        if fits(value) and (quote or _may_end(value, tail)):
            return quote + (value.replace("\n", "\\n") if quote == '"' else value) + quote
    raise UnsafeValueError(key, "mixes quotes, backslashes, spaces or # so that the readers disagree on it")


def _unwritable(value: str) -> str:
    """Say why no quoting whatever helps, or return an empty string."""
    if "$" in value:
        return "contains $, which Next.js and Vite expand even inside single quotes"
    for char in value:
        if char in "\n\t":
            continue
        if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} or char == "\ufeff":
            return f"contains the character U+{ord(char):04X}, which the readers of env files treat differently"
    return ""


def _may_end(value: str, tail: str) -> bool:
    """Tell whether a value without quotes may stand before ``tail``."""
    # Node's own parser takes tabs for part of the value, and a lone space for the value of an empty one.
    gap = tail[: len(tail) - len(tail.lstrip())]
    return not tail or (value != "" and gap != "" and gap.strip(" ") == "")


def _plain(value: str) -> bool:
    """Tell whether a value needs no quotes under any reader, nor in a shell's eyes."""
    return not any(char.isspace() or char in "#\\" or char in _QUOTES for char in value)


def _in_double(value: str) -> bool:
    return '"' not in value and not _DECODED_IN_DOUBLE.search(value)


def _in_single(value: str) -> bool:
    return "'" not in value and not _DECODED_IN_SINGLE.search(value)


def _bare(value: str) -> bool:
    """Tell whether a value with quotes or backslashes inside can still stand without quotes."""
    inside = not any(char.isspace() or char == "#" for char in value)
    return inside and value[:1] not in set(_QUOTES)
