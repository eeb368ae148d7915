"""An env file's text with every secret-looking value masked, line for line."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from tekup_migrate.credentials.keys import KeyKind
from tekup_migrate.credentials.patterns import Found, named_key
from tekup_migrate.credentials.redactor import Redactor
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.envfiles.document import EnvDocument

LINE_BREAK = re.compile(r"\r\n|\r|\n")

_SECRET_NAME = re.compile(
    r"KEY|SECRET|TOKEN|PASSW|PASSPHRASE|PWD|SALT|CREDENTIAL|PRIVATE|PEPPER|SIGNATURE", re.IGNORECASE
)
# In comments and on lines that cannot be read: `KEY=value`, `KEY: value`, `export KEY = "two words"`.
_MENTION = re.compile(
    r"(?<![\w.-])(?P<name>[\w.-]+)[^\S\r\n]*[=:][^\S\r\n]*(?P<value>\"[^\"\r\n]*\"|'[^'\r\n]*'|[^\s#]+)"
)
_UNPAINTABLE = {"Cc", "Cs", "Cf", "Zl", "Zp"}


def looks_secret(key: str) -> bool:
    """Tell whether a variable of this name holds a secret, judged by the name alone."""
    return _SECRET_NAME.search(key) is not None


def masked_lines(document: EnvDocument, redactor: Redactor) -> list[str]:
    """Return the lines of an env file as they may be painted, one for each line of the file.

    Secrets are their masks; a password inside a URL is masked alone, so that host and database stay
    visible. A secret over several lines is masked on its first and an ellipsis on the others. Characters
    that would disturb a terminal are shown as U+FFFD.
    """
    return _masked(document.text, _secrets(document, redactor))


def masked_text_lines(text: str, redactor: Redactor) -> list[str]:
    """Return the lines of a text that is no env file as they may be painted, one for each line of it."""
    return _masked(text, redactor.find(text))


def _masked(text: str, secrets: Iterable[Found]) -> list[str]:
    pieces: list[str] = []
    position = 0
    for found in secrets:
        breaks = LINE_BREAK.findall(text, found.start, found.end)
        pieces += [text[position : found.start], found.secret.mask, *("\n‹…›" for _ in breaks)]
        position = found.end
    masked = "".join([*pieces, text[position:]])
    return [_paintable(line) for line in LINE_BREAK.split(masked)]


def _secrets(document: EnvDocument, redactor: Redactor) -> Iterator[Found]:
    """Yield what must be masked, in order and without overlaps; of two that overlap, all of both."""
    # Sorting is stable: where two stand at the same place, the redactor knows better what it is.
    candidates = [*redactor.find(document.text), *_by_name(document), *_unclear(document)]
    candidates.sort(key=lambda found: (found.start, -found.end))
    pending: Found | None = None
    for found in candidates:
        if pending is None or found.start >= pending.end:
            if pending is not None:
                yield pending
            pending = found
        elif found.end > pending.end:
            pending = Found(pending.start, found.end, found.secret)
    if pending is not None:
        yield pending


def _by_name(document: EnvDocument) -> Iterator[Found]:
    """Find the values of variables whose name says that they are secret."""
    for entry in document.entries:
        inside = len(entry.quote)
        if entry.value and looks_secret(entry.key):
            yield Found(entry.start + inside, entry.end - inside, _named(entry.value))


def _unclear(document: EnvDocument) -> Iterator[Found]:
    """Find values in comments by their names, and all that stands on lines that cannot be read."""
    position = 0
    for entry in document.entries:
        yield from _mentions(document.text, position, entry.start)
        position = entry.end
    yield from _mentions(document.text, position, len(document.text))
    for stretch in document.unread:
        equals = document.text.find("=", stretch.start, stretch.end)
        start = stretch.start if equals < 0 else equals + 1
        if start < stretch.end:
            yield Found(start, stretch.end, Secret(document.text[start : stretch.end], kind="unreadable"))


def _mentions(text: str, start: int, end: int) -> Iterator[Found]:
    for match in _MENTION.finditer(text, start, end):
        value = match["value"].strip("\"'")
        if value and looks_secret(match["name"]):
            yield Found(*match.span("value"), _named(value))


def _named(value: str) -> Secret:
    secret = named_key(value)
    return Secret(value, kind="secret") if secret.kind == KeyKind.UNKNOWN else secret


def _paintable(line: str) -> str:
    return "".join(
        "\ufffd" if char != "\t" and unicodedata.category(char) in _UNPAINTABLE else char
        for char in line.removeprefix("\ufeff")
    )
