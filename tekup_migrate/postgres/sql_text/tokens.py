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


def canonical(text: str) -> str:
    """Return the text with white space, comments, and needless quoting of names removed.

    Two definitions that differ in nothing else have the same canonical form. Text inside strings stays as it is.
    """
    parts = []
    for token in tokens(text):
        if token.silent:
            continue
        name = token.name
        if token.kind == "word" and name is not None:
            parts.append(name)
        elif name is not None:
            parts.append(name if re.fullmatch(r"[a-z_][a-z0-9_$]*", name) else token.text)
        else:
            parts.append(token.text)
    return " ".join(parts)
