"""Paints a preview exactly: what is destroyed first, then warnings, then everything that runs, in order."""

from __future__ import annotations

from textual.content import Content

from screens.wording import one_line, plain
from tekup_migrate.steps import Action, Command, DiffLine, FileChange, Manual, Preview, Remark, Sql

_DIFF_STYLES = {"-": "$text-error", "+": "$text-success"}
_SHELL_SAFE = frozenset("-_./:=@%+,")


def destroyed(preview: Preview) -> Content:
    """Return the destroying lines, each of them; empty when there are none."""
    if not preview.destroys:
        return Content("")
    lines = [Content.styled(f"✗ {plain(line)}", "bold $text-error") for line in preview.destroys]
    return Content("\n").join([Content.styled("Will be gone:", "bold $text-error"), *lines])


def painted(preview: Preview) -> Content:
    """Return everything that the step will do: destroying lines, warnings, then the actions in order."""
    warnings = [a for a in preview.actions if isinstance(a, Remark) and a.warning]
    others = [a for a in preview.actions if not (isinstance(a, Remark) and a.warning)]
    blocks = [destroyed(preview)] if preview.destroys else []
    blocks += [_block(action) for action in (*warnings, *others)]
    if not blocks:
        blocks = [Content.styled("It runs nothing and changes no file by itself.", "dim")]
    return Content("\n\n").join(blocks)


def _block(action: Action) -> Content:
    match action:
        case Sql(statement, where):
            return Content.assemble((f"SQL in {one_line(where)}\n", "dim"), _indented(statement))
        case Command(argv, cwd):
            line = " ".join(_quoted(part) for part in argv)
            return Content.assemble((f"command in {one_line(cwd)}\n", "dim"), _indented(f"$ {line}"))
        case FileChange(path, lines):
            return Content("\n").join([Content.styled(one_line(path), "bold"), *_diff(lines)])
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


def _diff(lines: tuple[DiffLine, ...]) -> list[Content]:
    numbers = [max(line.old_number, line.new_number) for line in lines]
    cells = len(str(max(numbers, default=1)))
    painted_lines = []
    for line in lines:
        number = (line.new_number if line.kind == "+" else line.old_number) or ""
        style = _DIFF_STYLES.get(line.kind, "")
        painted_lines.append(Content.styled(f"  {line.kind} {number:>{cells}}   {plain(line.text)}", style))
    return painted_lines
