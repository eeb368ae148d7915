"""Paints a preview exactly: what is destroyed first, then warnings, then everything that runs, in order."""

from __future__ import annotations

from textual.content import Content

from screens.wording import one_line, plain
from tekup_migrate.steps import Command, FileChange, Manual, Preview, Remark, Sql

_SHELL_SAFE = frozenset("-_./:=@%+,")


def destroyed(preview: Preview) -> Content:
    """Return the destroying lines, each of them; empty when there are none."""
    if not preview.destroys:
        return Content("")
    lines = [Content.styled(f"✗ {plain(line)}", "bold $text-error") for line in preview.destroys]
    return Content("\n").join([Content.styled("Will be gone:", "bold $text-error"), *lines])


def blocks(preview: Preview) -> list[Content | FileChange]:
    """Return everything that the step will do, to be painted one below the other: what is gone, warnings, the rest.

    A file's change is returned as it is: how it is laid out depends on the room there is.
    """
    warnings = [a for a in preview.actions if isinstance(a, Remark) and a.warning]
    others = [a for a in preview.actions if not (isinstance(a, Remark) and a.warning)]
    found: list[Content | FileChange] = [destroyed(preview)] if preview.destroys else []
    found += [action if isinstance(action, FileChange) else _block(action) for action in (*warnings, *others)]
    return found or [Content.styled("It runs nothing and changes no file by itself.", "dim")]


def _block(action: Sql | Command | Manual | Remark) -> Content:
    match action:
        case Sql(statement, where):
            return Content.assemble((f"SQL in {one_line(where)}\n", "dim"), _indented(statement))
        case Command(argv, cwd):
            line = " ".join(_quoted(part) for part in argv)
            return Content.assemble((f"command in {one_line(cwd)}\n", "dim"), _indented(f"$ {line}"))
        case Manual(instruction, address):
            place = Content.styled(one_line(address), "$text-accent underline")
            gap = "\n  " if address else ""
            return Content.assemble(("By hand\n", "dim"), _indented(instruction), gap, place)
        case Remark(text, warning):
            return Content.styled(f"! {plain(text)}", "bold $text-warning") if warning else Content(plain(text))


def _indented(text: str) -> str:
    return "\n".join("  " + line for line in plain(text).strip("\n").split("\n"))


def _quoted(part: str) -> str:
    """Quote an argument the way it would be typed, so that one with a space is seen to be one."""
    shown = plain(part)
    if shown and all(letter.isalnum() or letter in _SHELL_SAFE for letter in shown):
        return shown
    return "'" + shown.replace("'", "'\\''") + "'"
