"""A file's diff: side by side where there is room, unified where there is not; each part with what is chosen for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, zip_longest

from rich.cells import chop_cells
from textual import events
from textual.content import Content
from textual.widgets import Static

from screens.wording import fitted, one_line, plain
from tekup_migrate.parts import LEAVE, REWRITE, SKIP, Part
from tekup_migrate.steps import DiffLine, FileChange

WIDE = 100
"""Columns from which the two versions stand side by side."""

_STYLES = {"-": "$text-error", "+": "$text-success"}
_CHOSEN = {REWRITE: ("✓", "bold $text-success"), SKIP: ("✗", "bold $text-error"), LEAVE: ("·", "$text-muted")}
_OTHERWISE = ("◆", "$text-warning")
_Row = tuple[DiffLine | None, DiffLine | None]


class DiffView(Static):
    """Shows one file's change; ``show`` paints it anew with other choices and another part marked."""

    DEFAULT_CSS = "DiffView { height: auto; margin-bottom: 1; }"

    def __init__(self, change: FileChange, parts: Sequence[Part] = ()) -> None:
        super().__init__()
        self.change = change
        self._parts = {part.id: part for part in parts}
        self._marked = ""
        self._heads: dict[str, int] = {}
        self._columns = 0

    @property
    def part_ids(self) -> tuple[str, ...]:
        """The parts that this file's lines belong to, in the order they stand in."""
        return tuple(dict.fromkeys(line.part for line in self.change.lines if line.part in self._parts))

    def show(self, parts: Sequence[Part], marked: str) -> None:
        """Paint with these choices and this part marked."""
        self._parts = {part.id: part for part in parts if part.id in self._parts}
        self._marked = marked
        self._paint()

    def line_of(self, part: str) -> int:
        """Return the line, from 0, that a part's head stands on."""
        return self._heads.get(part, 0)

    def on_resize(self, event: events.Resize) -> None:
        """Lay out for the new width."""
        if event.size.width - 1 != self._columns:
            # A column stays free beside the scrollbar.
            self._columns = event.size.width - 1
            self._paint()

    def _paint(self) -> None:
        if not self._columns:
            return
        self._heads = {}
        lines = [Content.styled(line, "bold") for line in _wrapped(one_line(self.change.path), self._columns)]
        cells = len(str(max((max(line.old_number, line.new_number) for line in self.change.lines), default=1)))
        for part_id, group in groupby(self.change.lines, key=lambda line: line.part):
            part = self._parts.get(part_id)
            if part is not None:
                self._heads[part_id] = len(lines)
                lines += self._head(part)
            faded = part is not None and part.choice != REWRITE and part.options[0] == REWRITE
            layout = self._beside if self._columns >= WIDE else self._below
            lines += layout(tuple(group), cells, faded=faded)
        self.update(Content("\n").join(lines))

    def _head(self, part: Part) -> Iterator[Content]:
        glyph, style = _CHOSEN.get(part.choice, _OTHERWISE)
        pointer = "▶ " if part.id == self._marked else "  "
        why = f"  ({part.why})" if part.why else ""
        words = f"{glyph} {part.choice}  {one_line(part.label)}{why}"
        style = f"{style} reverse" if part.id == self._marked else style
        for number, text in enumerate(_wrapped(words, self._columns - 2)):
            yield Content.assemble(pointer if number == 0 else "  ", (text, style))

    def _below(self, lines: Sequence[DiffLine], cells: int, *, faded: bool) -> Iterator[Content]:
        """Lay one version's lines below the other's."""
        for line in lines:
            number = (line.new_number if line.kind == "+" else line.old_number) or ""
            style = f"{_STYLES.get(line.kind, '')} {'dim' if faded else ''}".strip()
            room = self._columns - cells - 7
            for index, text in enumerate(_wrapped(plain(line.text), room)):
                margin = f"  {line.kind} {number:>{cells}}   " if index == 0 else " " * (cells + 7)
                yield Content.styled(margin + text, style)

    def _beside(self, lines: Sequence[DiffLine], cells: int, *, faded: bool) -> Iterator[Content]:
        """Lay the old version to the left and the new one to the right, each line beside what it becomes."""
        room = (self._columns - 3) // 2 - cells - 4
        for old, new in _paired(lines):
            left = _wrapped(plain(old.text), room) if old else []
            right = _wrapped(plain(new.text), room) if new else []
            for index, (a, b) in enumerate(zip_longest(left, right, fillvalue="")):
                yield Content.assemble(
                    _cell(old, a, old.old_number if old else 0, cells, room, first=index == 0, faded=faded),
                    (" │ ", "dim"),
                    _cell(new, b, new.new_number if new else 0, cells, room, first=index == 0, faded=faded),
                )


def _cell(
    line: DiffLine | None, text: str, number: int, cells: int, room: int, *, first: bool, faded: bool
) -> tuple[str, str]:
    kind = line.kind if line is not None and first else " "
    shown = str(number) if number and first and line is not None else ""
    style = _STYLES.get(line.kind, "dim") if line is not None else ""
    return f"{kind} {shown:>{cells}}  {fitted(text, room)}", f"{style} dim" if faded else style


def _paired(lines: Sequence[DiffLine]) -> list[_Row]:
    """Return each removed line beside the added one in its place; an unchanged line beside itself."""
    rows: list[_Row] = []
    for changed, group in groupby(lines, key=lambda line: line.kind != " "):
        if changed:
            block = tuple(group)
            old, new = ([line for line in block if line.kind == kind] for kind in "-+")
            rows += zip_longest(old, new)
        else:
            rows += [(line, line) for line in group]
    return rows


def _wrapped(text: str, cells: int) -> list[str]:
    return chop_cells(text, max(cells, 8)) or [""]
