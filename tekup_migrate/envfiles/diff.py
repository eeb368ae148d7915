"""The diff of an env file's rewrite: real line numbers, context, and no secret in sight."""

from __future__ import annotations

import difflib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from tekup_migrate.credentials.redactor import Redactor
from tekup_migrate.envfiles.document import EnvDocument, edited_text
from tekup_migrate.envfiles.masking import LINE_BREAK, masked_lines, masked_text_lines
from tekup_migrate.envfiles.places import FilePlaces
from tekup_migrate.steps import DiffLine, FileChange


def diff_lines(
    before: bytes, after: bytes, *, redactor: Redactor | None = None, context: int = 3, env: bool = True
) -> tuple[DiffLine, ...]:
    """Compare two versions of a file, line by line, with every secret-looking value masked.

    Lines are compared as they are and painted masked: two different keys differ in their masks' last four
    digits. Equal stretches are shown ``context`` lines deep around each change; a gap in the numbers is
    where lines were left out.

    Args:
        before: the bytes of the old version.
        after: the bytes of the new version.
        redactor: knows the held secrets and names them by kind and project; patterns alone by default.
        context: how many equal lines to show around a change.
        env: whether it is an env file, in which the names of keys tell what is secret.
    """
    masker = redactor or Redactor()
    old, new = (version.decode("utf-8", "surrogateescape") for version in (before, after))
    raw_old, raw_new = LINE_BREAK.split(old), LINE_BREAK.split(new)
    shown_old, shown_new = (_shown(text, masker, env=env) for text in (old, new))
    matcher = difflib.SequenceMatcher(None, raw_old, raw_new, autojunk=False)
    return tuple(
        line
        for group in matcher.get_grouped_opcodes(context)
        for opcode in group
        for line in _painted(opcode, shown_old, shown_new)
    )


def places_change(file: FilePlaces, redactor: Redactor, *, context: int = 3) -> FileChange:
    """Return what can be rewritten in a file as the part of a preview that shows it.

    Every place is shown rewritten, whatever is chosen for it, and each of its lines names it; a place that
    cannot be rewritten is shown as it stands.
    """
    after = edited_text(file.text, (edit for place in file.places for edit in place.edits))
    old, new = (_shown(text, redactor, env=file.env) for text in (file.text, after))
    lines: list[DiffLine] = []
    done, shift = 0, 0
    hunks = _hunks(file)
    for number, hunk in enumerate(hunks):
        first = max(done, hunk.start - context)
        lines += [DiffLine(" ", n + 1, n + shift + 1, old[n]) for n in range(first, hunk.start)]
        if hunk.rewritten:
            lines += [DiffLine("-", n + 1, 0, old[n], hunk.part) for n in range(hunk.start, hunk.end)]
            last = hunk.end + shift + hunk.growth
            lines += [DiffLine("+", 0, n + 1, new[n], hunk.part) for n in range(hunk.start + shift, last)]
        else:
            lines += [DiffLine(" ", n + 1, n + shift + 1, old[n], hunk.part) for n in range(hunk.start, hunk.end)]
        shift += hunk.growth
        following = hunks[number + 1].start if number + 1 < len(hunks) else len(old)
        done = min(hunk.end + context, following)
        lines += [DiffLine(" ", n + 1, n + shift + 1, old[n]) for n in range(hunk.end, done)]
    return FileChange(str(file.path), tuple(lines))


@dataclass(slots=True)
class _Hunk:
    """Lines ``start`` up to ``end`` (from 0) that belong to a place; ``growth`` is how many lines it gains."""

    start: int
    end: int
    part: str
    rewritten: bool
    growth: int = 0


def _hunks(file: FilePlaces) -> list[_Hunk]:
    """Return the stretches of lines that places take up, in order; those that share a line are one."""
    breaks = [match.end() for match in LINE_BREAK.finditer(file.text)]
    found: list[_Hunk] = []
    for place in file.places:
        for edit in place.edits:
            first, last = bisect_right(breaks, edit.start), bisect_right(breaks, edit.end)
            growth = len(LINE_BREAK.findall(edit.text)) - (last - first)
            found.append(_Hunk(first, last + 1, place.id, True, growth))
        if not place.edits and not place.planned:
            found.append(_Hunk(place.line - 1, place.line, place.id, False))
    found.sort(key=lambda hunk: hunk.start)
    merged: list[_Hunk] = []
    for hunk in found:
        if merged and hunk.start < merged[-1].end:
            last_one = merged[-1]
            last_one.end = max(last_one.end, hunk.end)
            last_one.growth += hunk.growth
            last_one.rewritten |= hunk.rewritten
        else:
            merged.append(hunk)
    return merged


def _shown(text: str, redactor: Redactor, *, env: bool) -> list[str]:
    return masked_lines(EnvDocument.from_text(text), redactor) if env else masked_text_lines(text, redactor)


def _painted(opcode: tuple[str, int, int, int, int], old: list[str], new: list[str]) -> Iterator[DiffLine]:
    tag, old_start, old_end, new_start, new_end = opcode
    if tag == "equal":
        for offset in range(old_end - old_start):
            number = old_start + offset
            yield DiffLine(" ", number + 1, new_start + offset + 1, old[number])
        return
    for number in range(old_start, old_end):
        yield DiffLine("-", number + 1, 0, old[number])
    for number in range(new_start, new_end):
        yield DiffLine("+", 0, number + 1, new[number])
