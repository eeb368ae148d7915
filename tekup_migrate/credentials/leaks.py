"""Finding secrets where they should not be: staged files, documents, logs, anything about to leave.

Two searches at once: for the secrets that are held, exactly and in every encoded form, and for what looks
like a secret. A finding says where and what kind, never the value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tekup_migrate.credentials.keys import KeyKind
from tekup_migrate.credentials.patterns import Found
from tekup_migrate.credentials.redactor import Redactor

_PUBLIC = {KeyKind.ANON, KeyKind.PUBLISHABLE}


@dataclass(frozen=True, slots=True)
class Leak:
    """A secret that stands in a file or a text.

    Attributes:
        path: the file, or whatever names the text.
        line: its line, from 1.
        kind: what it is ("service key", "password", "JWT" …).
        mask: what may be shown of it.
        held: whether it is one of the secrets that are held, and not just something that looks like one.
    """

    path: str
    line: int
    kind: str
    mask: str
    held: bool


def leaks_in_text(text: str, path: str, redactor: Redactor, *, public_keys: bool = False) -> list[Leak]:
    """Find the secrets in a text, in its order.

    Args:
        text: what to search.
        path: named in the findings.
        redactor: holds the secrets to look for exactly.
        public_keys: report anon and publishable keys too, which browsers may hold.
    """
    held = {(found.start, found.end) for found in redactor.find_held(text)}
    leaks: list[Leak] = []
    line, counted = 1, 0
    for found in redactor.find(text):
        line += text.count("\n", counted, found.start)
        counted = found.start
        is_held = (found.start, found.end) in held
        if public_keys or not _is_public(found):
            leaks.append(Leak(path, line, found.secret.kind, found.secret.mask, is_held))
    return leaks


def leaks_in_file(path: Path, redactor: Redactor, *, public_keys: bool = False) -> list[Leak]:
    """Find the secrets in a file of any kind, read as bytes.

    Text in UTF-16, which Windows' shells write, is searched as well.

    Raises:
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    return leaks_in_bytes(content, str(path), redactor, public_keys=public_keys)


def leaks_in_bytes(content: bytes, path: str, redactor: Redactor, *, public_keys: bool = False) -> list[Leak]:
    """Find the secrets in bytes, such as a git object; see ``leaks_in_file``."""
    found = (
        leak for text in _readings(content) for leak in leaks_in_text(text, path, redactor, public_keys=public_keys)
    )
    return list(dict.fromkeys(found))


def _readings(content: bytes) -> Iterator[str]:
    # A NUL cannot be part of a secret: taken out, ASCII in UTF-16 reads like ASCII.
    yield content.decode("utf-8", "surrogateescape")
    if b"\0" in content:
        yield content.replace(b"\0", b"").decode("utf-8", "surrogateescape")


def _is_public(found: Found) -> bool:
    return found.secret.kind in _PUBLIC
