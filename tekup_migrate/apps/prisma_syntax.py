"""The syntax of ``schema.prisma``: text into blocks and statements, without knowing what they mean.

Written after Prisma's own description of its schema language
(https://www.prisma.io/docs/orm/reference/prisma-schema-reference).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tekup_migrate.errors import MigrationError

_TOKENS = re.compile(
    r"""
    (?P<space>[ \t\r\f\ufeff]+)
  | (?P<comment>//[^\n]*|/\*.*?\*/)
  | (?P<newline>\n)
  | (?P<string>"(?:\\.|[^"\\\n])*")
  | (?P<word>[\w][\w.\-]*)
  | (?P<mark>@@|[@{}()\[\],:=?.!+\-])
    """,
    re.VERBOSE | re.DOTALL,
)
_OPENING = {"(": ")", "[": "]"}


class PrismaSchemaError(MigrationError):
    """A Prisma schema is missing or cannot be read."""


@dataclass(frozen=True)
class Token:
    """One token; ``kind`` is ``newline``, ``string``, ``word`` or ``mark``, a string's text is unquoted."""

    kind: str
    text: str
    line: int


@dataclass(frozen=True)
class Block:
    """``keyword name { … }`` with its statements, each the tokens of one logical line."""

    keyword: str
    name: str
    line: int
    statements: tuple[tuple[Token, ...], ...]


def parse_blocks(text: str, *, source: str) -> tuple[Block, ...]:
    """Return the blocks of one schema file; ``source`` names it in errors.

    Raises:
        PrismaSchemaError: the text is not a Prisma schema, with the line where reading stopped.
    """
    tokens = list(_tokenize(text, source))
    blocks: list[Block] = []
    at = 0
    while at < len(tokens):
        if tokens[at].kind == "newline":
            at += 1
            continue
        block, at = _parse_block(tokens, at, source)
        blocks.append(block)
    return tuple(blocks)


def _tokenize(text: str, source: str) -> Iterator[Token]:
    at, line = 0, 1
    while at < len(text):
        match = _TOKENS.match(text, at)
        if match is None:
            raise _unreadable(source, line, f"{text[at]!r} is not expected here")
        kind, raw = match.lastgroup or "", match.group()
        if kind == "string":
            yield Token(kind, _unquote(raw), line)
        elif kind not in {"space", "comment"}:
            yield Token(kind, raw, line)
        line += raw.count("\n")
        at = match.end()


def _unquote(raw: str) -> str:
    try:
        return str(json.loads(raw, strict=False))
    except ValueError:
        return raw[1:-1]


def _parse_block(tokens: list[Token], at: int, source: str) -> tuple[Block, int]:
    head = [token.text for token in tokens[at : at + 3]]
    if tokens[at].kind != "word" or len(head) < 3 or head[2] != "{":
        raise _unreadable(source, tokens[at].line, f"expected a block, found {tokens[at].text!r}")
    start = tokens[at]
    statements: list[tuple[Token, ...]] = []
    statement: list[Token] = []
    awaited: list[str] = []
    for position in range(at + 3, len(tokens)):
        token = tokens[position]
        closes_block = token.text == "}" and token.kind == "mark" and not awaited
        if closes_block or (token.kind == "newline" and not awaited):
            if statement:
                statements.append(tuple(statement))
            statement = []
            if closes_block:
                return Block(start.text, head[1], start.line, tuple(statements)), position + 1
            continue
        if token.kind == "mark":
            _track(token, awaited, source)
        if token.kind != "newline":
            statement.append(token)
    raise _unreadable(source, start.line, f"the block {head[0]} {head[1]} is not closed")


def _track(token: Token, awaited: list[str], source: str) -> None:
    if token.text in _OPENING:
        awaited.append(_OPENING[token.text])
    elif token.text in _OPENING.values() and (not awaited or awaited.pop() != token.text):
        raise _unreadable(source, token.line, f"{token.text!r} closes nothing")


def _unreadable(source: str, line: int, reason: str) -> PrismaSchemaError:
    return PrismaSchemaError(
        "The Prisma schema cannot be read",
        happened=f"{source}, line {line}: {reason}.",
        unchanged="Nothing was changed.",
        remedy="Run `prisma validate` in the app and put right what it names, then try again.",
    )
