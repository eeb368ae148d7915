"""The places of a file that can be rewritten on their own, found in an env file or in any text file."""

from __future__ import annotations

import stat
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from tekup_migrate.credentials.secret import Secret
from tekup_migrate.envfiles.document import Edit, EnvDocument, EnvEntry, edited_text
from tekup_migrate.envfiles.errors import EnvFileError, UnsafeValueError, shown_key
from tekup_migrate.envfiles.masking import LINE_BREAK
from tekup_migrate.envfiles.rewrite import EnvRewrite, check_values, read_values
from tekup_migrate.envfiles.spelling import spell
from tekup_migrate.envfiles.successor import Successor
from tekup_migrate.parts import DOCUMENT, LEAVE, REWRITE, SKIP, Part

PLANNED = (REWRITE, SKIP)
FOUND = (REWRITE, LEAVE, DOCUMENT)
ONLY_NOTED = (LEAVE, DOCUMENT)
UNREAD = "python-dotenv cannot read this line; put it right by hand"


@dataclass(frozen=True, slots=True)
class Place:
    """One thing in a file that the operator decides about: a key with all its occurrences, or a line.

    Attributes:
        id: names it within the whole preview.
        label: how it is named: the key, or the line.
        line: its line, from 1; the first one of several.
        edits: what rewriting it changes; empty where it reads as wanted already, or cannot be rewritten.
        options: what may be chosen.
        choice: what holds unless the operator chooses otherwise.
        why: why it is offered, or why it cannot be rewritten.
        key: the key whose value changes, with ``value`` as its new one; empty for a comment or a line of text.
        former: its present value, where it has one.
        stretch: which comment of an env file it is, or which line of another text, counted from 0.
    """

    id: str
    label: str
    line: int
    edits: tuple[Edit, ...] = field(repr=False)
    options: tuple[str, ...]
    choice: str
    why: str = ""
    key: str = ""
    value: str = field(default="", repr=False)
    former: str = field(default="", repr=False)
    stretch: int = -1

    @property
    def planned(self) -> bool:
        """Whether the plan names it, so that leaving it out is skipping."""
        return SKIP in self.options


@dataclass(frozen=True)
class FilePlaces:
    """What can be rewritten in one file.

    Attributes:
        name: the file relative to the app's directory, with ``/``; what places and reports call it.
        path: the file as it is named, possibly a symlink.
        real: the file itself.
        before: its bytes.
        env: whether it is an env file, to be read back by python-dotenv.
        places: what was found, in the order of the file.
        warnings: what the operator should know about the file.
    """

    name: str
    path: Path
    real: Path
    before: bytes = field(repr=False)
    env: bool
    places: tuple[Place, ...]
    warnings: tuple[str, ...] = ()

    @cached_property
    def text(self) -> str:
        """The file's text, where bytes that are not UTF-8 are lone surrogates."""
        return self.before.decode("utf-8", "surrogateescape")

    @property
    def parts(self) -> tuple[Part, ...]:
        """The places as parts of a preview: those that would change, and those that can only be noted."""
        return tuple(
            Part(id=p.id, group=self.name, label=p.label, options=p.options, choice=p.choice, why=p.why)
            for p in self.places
            if p.edits or not p.planned
        )

    def rewrite(self, chosen: Collection[str]) -> EnvRewrite:
        """Return what rewriting the places with these ids does to the file.

        Raises:
            EnvFileError: python-dotenv would not read exactly the intended values back.
        """
        taken = [place for place in self.places if place.id in chosen and place.edits]
        edits = [edit for place in taken for edit in place.edits]
        after = edited_text(self.text, edits).encode("utf-8", "surrogateescape")
        values = None
        if self.env:
            changes = {place.key: place.value for place in taken if place.key}
            EnvDocument.from_text(self.text).edited(edits, changes)
            values = {**read_values(self.before), **changes}
            check_values(self.real, after, values)
        return EnvRewrite(
            path=self.real,
            before=self.before,
            after=after,
            values=values,
            changed=tuple(place.label for place in taken),
            warnings=self.warnings,
            keys=tuple(place.key for place in taken if place.key),
            stretches=tuple(place.stretch for place in taken if place.stretch >= 0),
        )


def env_places(
    name: str, path: Path, before: bytes, *, wanted: Mapping[str, Secret | str], successor: Successor
) -> FilePlaces:
    """Find what can be rewritten in an env file.

    Args:
        name: the file relative to the app's directory.
        path: the file itself.
        before: its bytes.
        wanted: the keys that the plan names and the file has, with what each shall hold.
        successor: knows the old project.

    Raises:
        EnvFileError: a wanted key stands on a line that the readers disagree on.
        UnsafeValueError: a wanted value cannot be written so that every reader reads it.
    """
    document = EnvDocument.parse(before)
    places = [
        *_keys(name, document, wanted, successor),
        *_comments(name, document, successor),
        *_unread(name, document, successor),
    ]
    places.sort(key=lambda place: place.line)
    warnings = (*document.warnings(), *_warnings(document, wanted), *file_warnings(path))
    return FilePlaces(name, path, path.resolve(), before, True, tuple(places), warnings)


def text_places(
    name: str, path: Path, before: bytes, successor: Successor, *, without: tuple[int, int] = (0, 0)
) -> FilePlaces:
    """Find every line of a text file that names the old project, but for the stretch ``without``."""
    text = before.decode("utf-8", "surrogateescape")
    places = []
    for index, (start, end) in enumerate(line_spans(text)):
        if without[0] <= start < without[1]:
            continue
        edits, why = successor.edits(text, start, end)
        if edits or why:
            places.append(_line(name, index + 1, edits, why, index))
    return FilePlaces(name, path, path.resolve(), before, False, tuple(places))


def _keys(
    name: str, document: EnvDocument, wanted: Mapping[str, Secret | str], successor: Successor
) -> Iterator[Place]:
    for key, former in document.values.items():
        line = next(entry.line for entry in document.entries if entry.key == key)
        if key in wanted:
            value = _plain(wanted[key])
            edits = document.edits(key, value)
            yield Place(_id(name, key), key, line, edits, PLANNED, REWRITE, "", key, value, former or "")
            continue
        renamed = successor.of_value(former) if former else None
        if renamed is None:
            continue
        why, edits, value = renamed.why, (), ""
        if renamed.new is not None:
            value = _plain(renamed.new)
            try:
                edits = document.edits(key, value)
            except EnvFileError as error:
                why = error.happened
        options = FOUND if edits else ONLY_NOTED
        label = shown_key(key)
        yield Place(_id(name, key), label, line, edits, options, DOCUMENT, why, key, value, former or "")


def _comments(name: str, document: EnvDocument, successor: Successor) -> Iterator[Place]:
    starts = _line_starts(document.text)
    for index, (start, end) in enumerate(document.comments()):
        edits, why = _comment(document.text, start, end, successor)
        if edits or why:
            place = _line(name, bisect_right(starts, start), edits, why, index)
            yield replace(place, label=f"{place.label}, a comment", choice=LEAVE)


def _unread(name: str, document: EnvDocument, successor: Successor) -> Iterator[Place]:
    """Note the lines that python-dotenv skips and that name the old project: other readers may take them."""
    for stretch in document.unread:
        text = document.text[stretch.start : stretch.end]
        for index, (start, end) in enumerate(line_spans(text)):
            edits, why = successor.edits(text, start, end)
            if edits or why:
                yield _line(name, stretch.line + index, (), why or UNREAD, -1)


def _comment(text: str, start: int, end: int, successor: Successor) -> tuple[tuple[Edit, ...], str]:
    """Return what renames the old project in a comment: in a commented-out value, else in its words."""
    inner = EnvDocument.from_text(text[start:end])
    entry: EnvEntry | None = inner.entries[0] if inner.entries else None
    if entry is not None and entry.assigned and entry.value:
        renamed = successor.of_value(entry.value)
        if renamed is not None and renamed.new is None:
            return (), renamed.why
        if renamed is not None and renamed.new is not None:
            try:
                spelled = spell(entry.key, _plain(renamed.new), keep=entry.quote)
            except UnsafeValueError as error:
                return (), error.happened
            return (Edit(start + entry.start, start + entry.end, spelled),), ""
    return successor.edits(text, start, end)


def _warnings(document: EnvDocument, wanted: Mapping[str, Secret | str]) -> Iterator[str]:
    """Say of the wanted keys what their readers make of them and would no longer."""
    for key in wanted:
        if not document.edits(key, _plain(wanted[key])):
            continue
        entries = [entry for entry in document.entries if entry.key == key]
        lines = ", ".join(str(entry.line) for entry in entries)
        if len(entries) > 1:
            yield f"{key} is set {len(entries)} times (lines {lines}): each gets the new value."
        if any("$" in (entry.value or "") for entry in entries):
            yield f"{key} is put together from other keys (line {lines}): its new value is written out."


def file_warnings(path: Path) -> Iterator[str]:
    """Say what is particular about a file that is to be replaced by another of the same name."""
    status = path.stat()
    if status.st_nlink > 1:
        yield "The file has other names (hard links): only this one gets the new content."
    if not stat.S_IMODE(status.st_mode) & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
        yield "The file is read-only: it is replaced all the same, and stays read-only."


def _line(name: str, number: int, edits: tuple[Edit, ...], why: str, stretch: int) -> Place:
    options = FOUND if edits else ONLY_NOTED
    return Place(f"{name}#{number}", f"line {number}", number, edits, options, DOCUMENT, why, stretch=stretch)


def _id(name: str, key: str) -> str:
    return f"{name}:{shown_key(key)}"


def _plain(value: Secret | str) -> str:
    return value.reveal() if isinstance(value, Secret) else value


def line_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each line of a text begins and where its line break does."""
    position = 0
    for match in LINE_BREAK.finditer(text):
        yield position, match.start()
        position = match.end()
    yield position, len(text)


def _line_starts(text: str) -> list[int]:
    return [start for start, _ in line_spans(text)]
