"""What a rewrite left alone: shown to be the same, and put together again with what somebody edited since."""

from __future__ import annotations

import difflib
import hashlib
import hmac
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tekup_migrate.envfiles.document import Edit, EnvDocument, edited_text
from tekup_migrate.envfiles.errors import shown_key
from tekup_migrate.envfiles.former import FormerFile
from tekup_migrate.envfiles.places import line_spans

_SALT = os.urandom(16)
_BLANKS = re.compile(r"[^\S\r\n]*")


@dataclass(frozen=True, slots=True)
class Rest:
    """All of a file but what a rewrite changed: its size in bytes, and a digest under this process's own key.

    The key makes the digest useless for guessing what the file holds.
    """

    size: int
    digest: str


def keyed_digest(content: bytes) -> str:
    """Return sixteen hex digits that tell contents apart within this process and tell nothing about them."""
    return hmac.new(_SALT, content, hashlib.sha256).hexdigest()[:16]


def rest_of(content: bytes, former: FormerFile) -> Rest:
    """Return what is left of a version of the file without the values, comments and lines that were rewritten."""
    text = _text(content)
    taken = [span for spans in _values(text, former).values() for span in spans]
    stretches = _stretches(text, former)
    taken += [stretches[index] for index in former.stretches if index < len(stretches)]
    cut = edited_text(text, (Edit(start, end, "\0") for start, end in taken))
    left = cut.encode("utf-8", "surrogateescape")
    return Rest(len(left) - len(taken), keyed_digest(left))


def put_back(former: FormerFile, now: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Return the file as it is now with what the rewrite changed put back, and what was left since it is neither.

    A value, comment or line that somebody changed since the rewrite is theirs and stays.
    """
    text = _text(now)
    edits: list[Edit] = []
    left: list[str] = []
    before, ours, present = (_values(_text(version), former) for version in (former.content, former.written, now))
    for key in former.keys:
        spans = present.get(key, ())
        wanted = [_text(former.content)[start:end] for start, end in before.get(key, ())]
        written = [_text(former.written)[start:end] for start, end in ours.get(key, ())]
        if len({len(spans), len(wanted), len(written)}) > 1:
            left.append(shown_key(key))
            continue
        for span, old, our in zip(spans, wanted, written, strict=True):
            if text[span[0] : span[1]] == our:
                edits.append(Edit(*span, old))
            elif text[span[0] : span[1]] != old:
                left.append(shown_key(key))
    moved, missing = _stretches_back(former, text)
    return edited_text(text, [*edits, *moved]).encode("utf-8", "surrogateescape"), (*dict.fromkeys(left), *missing)


def _stretches_back(former: FormerFile, text: str) -> tuple[list[Edit], tuple[str, ...]]:
    if not former.stretches:
        return [], ()
    before, ours = _text(former.content), _text(former.written)
    old, written, now = (_stretches(version, former) for version in (before, ours, text))
    matcher = difflib.SequenceMatcher(
        None, [ours[a:b] for a, b in written], [text[a:b] for a, b in now], autojunk=False
    )
    places = {
        block.a + offset: block.b + offset for block in matcher.get_matching_blocks() for offset in range(block.size)
    }
    edits = [Edit(*now[places[index]], before[slice(*old[index])]) for index in former.stretches if index in places]
    kind = "comment" if former.env else "line"
    return edits, tuple(f"{kind} {index + 1}" for index in former.stretches if index not in places)


def _values(text: str, former: FormerFile) -> dict[str, tuple[tuple[int, int], ...]]:
    """Return where the values of the rewritten keys stand, with their equals signs, quotes and blanks."""
    if not former.env:
        return {}
    found: dict[str, tuple[tuple[int, int], ...]] = {}
    for entry in EnvDocument.from_text(text).entries:
        if entry.key in former.keys:
            # From the equals sign (a key may get one with its value) over the blanks around the value: where a
            # value is empty, they belong to no side of it.
            start = text.rindex("=", 0, entry.start) if entry.assigned else entry.start
            blanks = _BLANKS.match(text, entry.end)
            end = blanks.end() if blanks else entry.end
            found[entry.key] = (*found.get(entry.key, ()), (start, end))
    return found


def _stretches(text: str, former: FormerFile) -> list[tuple[int, int]]:
    return list(_spans(text, former))


def _spans(text: str, former: FormerFile) -> Iterator[tuple[int, int]]:
    if former.env:
        yield from EnvDocument.from_text(text).comments()
    else:
        yield from line_spans(text)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")
