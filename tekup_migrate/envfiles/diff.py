"""The diff of an env file's rewrite: real line numbers, context, and no secret in sight."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from tekup_migrate.credentials.redactor import Redactor
from tekup_migrate.envfiles.document import EnvDocument
from tekup_migrate.envfiles.masking import LINE_BREAK, masked_lines
from tekup_migrate.envfiles.rewrite import EnvRewrite
from tekup_migrate.steps import DiffLine, FileChange


def diff_lines(
    before: bytes, after: bytes, *, redactor: Redactor | None = None, context: int = 3
) -> tuple[DiffLine, ...]:
    """Compare two versions of an env file, line by line, with every secret-looking value masked.

    Lines are compared as they are and painted masked: two different keys differ in their masks' last four
    digits. Equal stretches are shown ``context`` lines deep around each change; a gap in the numbers is
    where lines were left out.

    Args:
        before: the bytes of the old version.
        after: the bytes of the new version.
        redactor: knows the held secrets and names them by kind and project; patterns alone by default.
        context: how many equal lines to show around a change.
    """
    masker = redactor or Redactor()
    old, new = EnvDocument.parse(before), EnvDocument.parse(after)
    raw_old, raw_new = LINE_BREAK.split(old.text), LINE_BREAK.split(new.text)
    shown_old, shown_new = masked_lines(old, masker), masked_lines(new, masker)
    matcher = difflib.SequenceMatcher(None, raw_old, raw_new, autojunk=False)
    return tuple(
        line
        for group in matcher.get_grouped_opcodes(context)
        for opcode in group
        for line in _painted(opcode, shown_old, shown_new)
    )


def file_change(rewrite: EnvRewrite, *, redactor: Redactor | None = None, context: int = 3) -> FileChange:
    """Return a planned rewrite as the part of a preview that shows it."""
    lines = diff_lines(rewrite.before, rewrite.after, redactor=redactor, context=context)
    return FileChange(str(rewrite.path), lines)


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
