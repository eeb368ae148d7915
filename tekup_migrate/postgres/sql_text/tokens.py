"""Cuts SQL text into tokens, losing nothing: the tokens joined are the text.

Source: "Lexical Structure" in the PostgreSQL manual, as far as names, strings and comments go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<comment>--[^\n]*|/\*.*?\*/)
  | (?P<dollar>\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)
  | (?P<escaped>[eE]'(?:[^'\\]|\\.|'')*')
  | (?P<string>(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*')
  | (?P<quoted>"(?:[^"]|"")+")
  | (?P<word>[^\W\d][\w$]*)
  | (?P<number>\d[\w.]*)
  | (?P<operator>::|:=|[-+*/<>=~!@\#%^&|`?]+)
  | (?P<mark>.)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Token:
    """One token: its kind (a group's name of the pattern) and its text."""

    kind: str
    text: str

    @property
    def name(self) -> str | None:
        """The identifier it stands for, folded to lower case where it is not quoted; None where it is none."""
        if self.kind == "word":
            return self.text.lower()
        if self.kind == "quoted":
            return self.text[1:-1].replace('""', '"')
        return None

    @property
    def keyword(self) -> str:
        """The word in upper case; empty for anything quoted or not a word."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def silent(self) -> bool:
        """Whether it is white space or a comment."""
        return self.kind in ("space", "comment")


def tokens(text: str) -> list[Token]:
    """Cut ``text`` into tokens."""
    found = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "mark"
        if match.group("dollar") is not None:
            kind = "dollar"
        found.append(Token(kind, match.group(0)))
    return found


_CAST = Token("operator", "::")


def _is_regular(following: list[Token]) -> bool:
    """Whether a type that begins here is one of those that look names up, such as ``regclass``."""
    names = [token.name for token in following if token.name and token.name != "pg_catalog"]
    return bool(names) and str(names[0]).startswith("reg")


def canonical(text: str) -> str:
    """Return the text with white space, comments, and needless quoting of names removed.

    Two definitions that differ in nothing else have the same canonical form. Text inside strings stays as it is, but
    for names that are read as a relation or the like, as ``nextval('"app".counter'::regclass)`` has one.
    """
    parts = []
    found = [token for token in tokens(text) if not token.silent]
    for index, token in enumerate(found):
        name = token.name
        cast = found[index + 1 : index + 2] == [_CAST] and _is_regular(found[index + 2 : index + 5])
        if token.kind == "string" and cast:
            parts.append(f"'{canonical(token.text[1:-1])}'")
            continue
        if token.kind == "word" and name is not None:
            parts.append(name)
        elif name is not None:
            parts.append(name if re.fullmatch(r"[a-z_][a-z0-9_$]*", name) else token.text)
        else:
            parts.append(token.text)
    return " ".join(parts)
