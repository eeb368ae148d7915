"""What names the old project, and what names the new one in its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from tekup_migrate.credentials.keys import is_placeholder, read_key
from tekup_migrate.credentials.patterns import Found, secret_forms
from tekup_migrate.credentials.redactor import forms_of
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.envfiles.document import Edit, edited_text

_DATABASE_URL = re.compile(r"postgres(?:ql)?(?:\+\w{1,20})?://[^\s\"'`<>]+")
_ENDPOINT = re.compile(r"[@/](\[[^\]]*\]|[^:/?@\[\]]+)(?::(\d+))?(?=[/?]|\Z)")
_POOLER = "pooler.supabase."
_LOOPBACK = {"localhost", "127.0.0.1", "[::1]", "::1", ""}

BY_HAND_KEY = "it holds a key or password of the old project: take it out by hand"
BY_HAND_POOLER = "it names the old region's pooler, which cannot be derived: change it by hand"
NO_NEW_KEY = "the plan names no new key of this kind for this app"


@dataclass(frozen=True, slots=True)
class Renamed:
    """What a text that names the old project becomes; without ``new`` it cannot be rewritten, and why."""

    new: Secret | str | None
    why: str = ""


@dataclass(frozen=True)
class Successor:
    """Finds the old project in a value or a text, and says what stands there for the new one.

    Attributes:
        ref: the old project's ref.
        words: what is no secret and names the old project, with its successor: ref, address, hosts.
        values: whole former values of keys that the plan names, with what they become.
        keys: the new project's keys by their kind ("anon key", "service key").
        url: gives a database URL the new project's user, password, host, port and database.
        endpoints: host and port of the old database.
    """

    ref: str
    words: Mapping[str, str]
    values: Mapping[str, Secret | str] = field(repr=False)
    keys: Mapping[str, Secret] = field(repr=False)
    url: Callable[[str], Secret | None] = field(repr=False)
    endpoints: frozenset[tuple[str, int]] = frozenset()

    def of_value(self, value: str) -> Renamed | None:
        """Return what the whole value of a key becomes, or None where it does not name the old project."""
        bare = value.strip()
        if bare in self.values:
            return Renamed(self.values[bare])
        reading = read_key(Secret(bare, kind="value"))
        if reading.ref == self.ref:
            new = self.keys.get(reading.kind)
            return Renamed(new, "" if new else NO_NEW_KEY)
        if _DATABASE_URL.fullmatch(bare):
            return self._of_url(bare)
        return self._of_text(value)

    def edits(self, text: str, start: int, end: int) -> tuple[tuple[Edit, ...], str]:
        """Return the edits that rename the old project in a stretch of plain text, or none and why not.

        Neither edits nor a reason: the stretch does not name it. A stretch with one of its secrets is never
        rewritten: a new secret must not be written where the old one should not have been.
        """
        stretch = text[start:end]
        if any(self._is_old(found) for found in secret_forms(stretch)) or self._holds_value(stretch):
            return (), BY_HAND_KEY
        edits = tuple(Edit(start + a, start + b, new) for a, b, new in self._words(stretch))
        if edits and _POOLER in stretch and not any(_POOLER in word for word in self.words):
            return (), BY_HAND_POOLER
        return edits, ""

    def names(self, text: str) -> bool:
        """Whether a text holds the old project's ref, address or host."""
        return next(self._words(text), None) is not None

    def _of_text(self, value: str) -> Renamed | None:
        edits, why = self.edits(value, 0, len(value))
        if why:
            return Renamed(None, why)
        if not edits:
            return None
        return Renamed(edited_text(value, edits))

    def _of_url(self, value: str) -> Renamed | None:
        if not self.names(value) and not self._is_endpoint(value):
            return None
        new = self.url(value)
        return Renamed(new, "" if new is not None else "it is not a whole Postgres URL")

    def _is_endpoint(self, value: str) -> bool:
        match = _ENDPOINT.search(value)
        return match is not None and (match[1], int(match[2] or 5432)) in self.endpoints

    def _is_old(self, found: Found) -> bool:
        return found.secret.project == self.ref

    def _holds_value(self, stretch: str) -> bool:
        return any(
            old in stretch for old, new in self.values.items() if isinstance(new, Secret) and not is_placeholder(old)
        )

    def _words(self, text: str) -> Iterator[tuple[int, int, str]]:
        for match in self._pattern.finditer(text):
            yield match.start(), match.end(), self.words[match[0]]

    @cached_property
    def trace(self) -> re.Pattern[bytes]:
        """What finds the bytes of anything old, quickly: a file without a match holds nothing of it."""
        old = {*self.words, *(value for value, new in self.values.items() if isinstance(new, Secret))}
        inside_a_key = (form for form in forms_of(self.ref) if form != self.ref)
        forms = sorted({*old, *inside_a_key}, key=len, reverse=True)
        return re.compile(b"|".join(re.escape(form.encode("utf-8", "surrogateescape")) for form in forms))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return _compiled(tuple(sorted(self.words, key=len, reverse=True)))


def old_words(pairs: Iterator[tuple[str, str]]) -> dict[str, str]:
    """Return the words that name the old project without those that could name anything: loopback, empty."""
    kept = {old: new for old, new in pairs if old and old != new}
    return {old: new for old, new in kept.items() if old.partition(":")[0] not in _LOOPBACK}


def _compiled(words: tuple[str, ...]) -> re.Pattern[str]:
    if not words:
        return re.compile(r"(?!)")
    # A ref stands between dots, slashes and quotes; inside a longer word it is something else.
    return re.compile(r"(?<![A-Za-z0-9])(?:" + "|".join(map(re.escape, words)) + r")(?![A-Za-z0-9])")
