"""Documents of ours as diffs for a preview."""

from __future__ import annotations

from tekup_migrate.steps import DiffLine


def text_diff(before: bytes, after: bytes) -> tuple[DiffLine, ...]:
    """Return two versions of a document as a diff with three lines of context."""
    import difflib

    old, new = (text.decode("utf-8", "replace").splitlines() for text in (before, after))
    lines: list[DiffLine] = []
    for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(3):
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                lines += [DiffLine(" ", i1 + n + 1, j1 + n + 1, old[i1 + n]) for n in range(i2 - i1)]
            else:
                lines += [DiffLine("-", n + 1, 0, old[n]) for n in range(i1, i2)]
                lines += [DiffLine("+", 0, n + 1, new[n]) for n in range(j1, j2)]
    return tuple(lines)
