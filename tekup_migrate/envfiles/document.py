"""A lossless model of an `.env` file: values are replaced in place, every other byte stays.

The file is read by python-dotenv's grammar (https://github.com/theskumar/python-dotenv). Bytes that are
not UTF-8 ride along as lone surrogates, so that writing what was read gives the same bytes again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from tekup_migrate.envfiles.errors import EnvFileError, UnsafeValueError, shown_key
from tekup_migrate.envfiles.spelling import Quote, spell

BOM = "\ufeff"

_BLANK = re.compile(r"\s*")
_SPACES = re.compile(r"[^\S\r\n]*")
_EXPORT = re.compile(r"export[^\S\r\n]+")
_QUOTED_KEY = re.compile(r"'([^']+)'")
_BARE_KEY = re.compile(r"[^=#\s]+")
_SINGLE = re.compile(r"'(?:\\.|[^'\\])*'", re.DOTALL)
_DOUBLE = re.compile(r'"(?:\\.|[^"\\])*"', re.DOTALL)
_REST = re.compile(r"[^\r\n]*")
_INLINE_COMMENT = re.compile(r"\s+#")
_LINE_END = re.compile(r"(?:[^\S\r\n]*#[^\r\n]*)?[^\S\r\n]*(?=\r|\n|\Z)")
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_DOUBLE_ESCAPE = re.compile(r"\\([\\'\"abfnrtv])")
_SINGLE_ESCAPE = re.compile(r"\\([\\'])")
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_OTHER_ASSIGNMENT = re.compile(r"[^\S\r\n]*(?:export\s+)?'?([\w.-]+)'?\s*(?:=|:\s)")


@dataclass(frozen=True, slots=True)
class EnvEntry:
    """One key of an env file, as python-dotenv reads it.

    ``start`` and ``end`` are character positions in the document's text and take in the quotes. A key
    without an equals sign is not ``assigned`` and its value is ``None``. ``line`` counts from 1.
    """

    key: str
    value: str | None
    quote: Quote
    start: int
    end: int
    line: int
    assigned: bool

    def __repr__(self) -> str:
        return f"EnvEntry({shown_key(self.key)!r}, line={self.line})"


@dataclass(frozen=True, slots=True)
class Edit:
    """Other text for one stretch of a document, given in character positions of the document's text."""

    start: int
    end: int
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unread:
    """A stretch of an env file that python-dotenv cannot read and skips."""

    start: int
    end: int
    line: int


@dataclass(frozen=True)
class EnvDocument:
    """The text of an env file and what stands where in it. Never printed: it holds secrets."""

    text: str
    entries: tuple[EnvEntry, ...]
    unread: tuple[Unread, ...] = ()

    @classmethod
    def parse(cls, content: bytes) -> EnvDocument:
        """Read the bytes of an env file; no bytes are refused."""
        return cls.from_text(content.decode("utf-8", "surrogateescape"))

    @classmethod
    def from_text(cls, text: str) -> EnvDocument:
        """Read the text of an env file, where bytes that are not UTF-8 are lone surrogates."""
        found = tuple(_scan(text))
        return cls(
            text=text,
            entries=tuple(item for item in found if isinstance(item, EnvEntry)),
            unread=tuple(item for item in found if isinstance(item, Unread)),
        )

    def __repr__(self) -> str:
        return f"EnvDocument({len(self.entries)} entries)"

    def to_bytes(self) -> bytes:
        """Return the bytes of the file; the same ones that were parsed, unless a value was replaced."""
        return self.text.encode("utf-8", "surrogateescape")

    @cached_property
    def values(self) -> dict[str, str | None]:
        """Every key with its value as python-dotenv reads it without interpolation: the last one counts."""
        return {entry.key: entry.value for entry in self.entries}

    def value(self, key: str) -> str | None:
        """Return the value of a key as python-dotenv reads it, or ``None`` when it has none."""
        return self.values.get(key)

    def replaced(self, changes: Mapping[str, str]) -> EnvDocument:
        """Return this document with other values for the named keys, everything else kept to the byte.

        Every occurrence of a key gets the new value, not only the last: readers that take the first one
        and readers that take the last one must end up with the same value, and no old key stays behind.

        Raises:
            EnvFileError: a key is not in the file, stands on a line that the readers disagree on, or behind a
                quote that is open.
            UnsafeValueError: a value cannot be spelled so that every reader reads it.
        """
        edits = (edit for key, value in changes.items() for edit in self.edits(key, value))
        return self.edited(edits, changes)

    def edits(self, key: str, value: str) -> tuple[Edit, ...]:
        """Return what ``replaced`` would do to every occurrence of one key; raises the same.

        An occurrence that every reader reads as that value already is left out.
        """
        self._refuse_unclear(key)
        edits = []
        for entry in self.entries:
            if entry.key == key:
                spelled = ("" if entry.assigned else "=") + self._spelled(entry, value)
                if spelled != self.text[entry.start : entry.end]:
                    edits.append(Edit(entry.start, entry.end, spelled))
        return tuple(edits)

    def edited(self, edits: Iterable[Edit], changes: Mapping[str, str]) -> EnvDocument:
        """Return this document with edits made, which give these keys these values and change no other.

        Raises:
            EnvFileError: other values would change too.
        """
        after = EnvDocument.from_text(edited_text(self.text, edits))
        if after.values != {**self.values, **changes}:
            raise EnvFileError(
                f"{', '.join(changes) or 'A comment'} cannot be changed alone",
                happened="A quote is open somewhere before, and would take the new value for its end.",
                unchanged="Nothing was written.",
                remedy="Close the open quote by hand first.",
            )
        return after

    def comments(self) -> Iterator[tuple[int, int]]:
        """Yield where the text of each comment begins, behind its ``#``, and where its line ends."""
        position = 0
        skipped = [(stretch.start, stretch.end) for stretch in self.unread]
        for start, end in sorted([*((entry.start, entry.end) for entry in self.entries), *skipped]):
            yield from _comments(self.text, position, start)
            position = end
        yield from _comments(self.text, position, len(self.text))

    def spellings(self, key: str) -> list[str]:
        """Return how each occurrence of a key spells its value, quotes included."""
        return [self.text[entry.start : entry.end] for entry in self.entries if entry.key == key]

    def warnings(self) -> tuple[str, ...]:
        """Say where a usual reader reads this file differently from python-dotenv."""
        found = []
        if self.text.startswith(BOM) and self.entries:
            first = shown_key(self.entries[0].key)
            found.append(f"The file begins with a byte-order mark: Vite does not see its first key, {first}.")
        if self.unread:
            lines = ", ".join(str(stretch.line) for stretch in self.unread[:5])
            more = f" and {len(self.unread) - 5} others" if len(self.unread) > 5 else ""
            found.append(f"python-dotenv cannot read line {lines}{more} and skips it; other readers may not.")
        return tuple(found)

    def disputed(self, key: str) -> int | None:
        """Return the line that python-dotenv skips and from which other readers take a value of ``key``, if any."""
        for stretch in self.unread:
            for line in _LINE_BREAK.split(self.text[stretch.start : stretch.end]):
                match = _OTHER_ASSIGNMENT.match(line)
                if match and match[1] == key:
                    return stretch.line
        return None

    def _spelled(self, entry: EnvEntry, value: str) -> str:
        """Spell a value in the place of an entry's; one that already reads so is only made to read so everywhere."""
        present = self.text[entry.start : entry.end]
        if entry.value == value and entry.quote:
            return present
        rest = _REST.match(self.text, entry.end)
        try:
            return spell(entry.key, value, keep=entry.quote, tail=rest[0] if rest else "")
        except UnsafeValueError:
            if entry.value == value:
                return present
            raise

    def _refuse_unclear(self, key: str) -> None:
        if key not in self.values:
            raise EnvFileError(
                f"{key} is not in the file",
                happened=f"The file has no line that sets {key}.",
                unchanged="Nothing was written.",
                remedy=f"Add a line {key}= to the file, or leave the key out.",
            )
        line = self.disputed(key)
        if line is not None:
            raise EnvFileError(
                f"{key} stands on a line that its readers disagree on",
                happened=f"python-dotenv skips line {line}; other readers take a value from it.",
                unchanged="Nothing was written.",
                remedy=f"Put line {line} right by hand (a quote is open, or text follows it).",
            )


def edited_text(text: str, edits: Iterable[Edit]) -> str:
    """Return a text with edits made; they must not overlap."""
    pieces: list[str] = []
    position = 0
    for edit in sorted(edits, key=lambda edit: edit.start):
        pieces += [text[position : edit.start], edit.text]
        position = edit.end
    return "".join([*pieces, text[position:]])


def _comments(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the comments between two values: nothing else between them holds a ``#``."""
    position = start
    while (found := text.find("#", position, end)) >= 0:
        line_break = _LINE_BREAK.search(text, found, end)
        position = line_break.start() if line_break else end
        yield found + 1, position


class _Cursor:
    """A position in the text that remembers the line it is on."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 1 if text.startswith(BOM) else 0
        self._counted = 0
        self._line = 1

    def line(self) -> int:
        """Return the number of the line at the position; only ever asked going forward."""
        self._line += len(_LINE_BREAK.findall(self.text, self._counted, self.position))
        self._counted = self.position
        return self._line

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Step over what ``pattern`` matches here, and return it; None, and no step, where it does not match."""
        match = pattern.match(self.text, self.position)
        if match:
            self.position = match.end()
        return match

    def peek(self) -> str:
        """Return the character at the position; empty at the end of the text."""
        return self.text[self.position : self.position + 1]


def _scan(text: str) -> Iterator[EnvEntry | Unread]:
    cursor = _Cursor(text)
    while True:
        cursor.take(_BLANK)
        if cursor.position >= len(text):
            return
        start, line = cursor.position, cursor.line()
        if cursor.peek() == "#":
            cursor.take(_REST)
            continue
        entry = _entry(cursor, line)
        if entry is None or not cursor.take(_LINE_END):
            cursor.take(_REST)
            yield Unread(start, cursor.position, line)
        else:
            yield entry


def _entry(cursor: _Cursor, line: int) -> EnvEntry | None:
    """Read ``export KEY = value`` up to the end of its value; ``None`` where python-dotenv gives up."""
    cursor.take(_EXPORT)
    quoted_key = cursor.peek() == "'"
    if cursor.peek() == "#":
        return None
    match = cursor.take(_QUOTED_KEY if quoted_key else _BARE_KEY)
    if not match:
        return None
    # python-dotenv opens files with universal line ends, which shows in quoted keys and values.
    key, after_key = _LINE_BREAK.sub("\n", match[1]) if quoted_key else match[0], match.end()
    cursor.take(_SPACES)
    if cursor.peek() != "=":
        return EnvEntry(key, None, "", after_key, after_key, line, assigned=False)
    cursor.position += 1
    after_equals = cursor.position
    spaces = cursor.take(_SPACES)
    first = cursor.peek()
    if first in {"", "\r", "\n"} or (spaces and spaces[0] and first == "#"):
        return EnvEntry(key, "", "", after_equals, after_equals, line, assigned=True)
    if first in {"'", '"'}:
        return _quoted(cursor, key, line)
    start = cursor.position
    rest = _REST.match(cursor.text, start)
    raw = _INLINE_COMMENT.split(rest[0] if rest else "", maxsplit=1)[0].rstrip()
    cursor.position = start + len(raw)
    return EnvEntry(key, raw, "", start, cursor.position, line, assigned=True)


def _quoted(cursor: _Cursor, key: str, line: int) -> EnvEntry | None:
    quote: Quote = "'" if cursor.peek() == "'" else '"'
    match = cursor.take(_SINGLE if quote == "'" else _DOUBLE)
    if not match:
        return None
    inner = _LINE_BREAK.sub("\n", match[0][1:-1])
    escape = _SINGLE_ESCAPE if quote == "'" else _DOUBLE_ESCAPE
    value = escape.sub(lambda found: _ESCAPES.get(found[1], found[1]), inner)
    return EnvEntry(key, value, quote, match.start(), match.end(), line, assigned=True)
