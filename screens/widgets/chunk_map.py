"""The chunk map: every table that is reconciled, and where each of its chunks stands."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static

from screens.board import Board, TableTrack
from screens.widgets.progress_lines import measured
from screens.wording import amount, count, lasted, one_line, sparkline
from tekup_migrate.events import ChunkState

_CELLS = {
    ChunkState.DIFFERS: ("✗", "bold $text-error"),
    ChunkState.COPYING: ("▣", "$text-primary"),
    ChunkState.COMPARING: ("▣", "$text-primary"),
    ChunkState.WAITING: ("□", "dim"),
    ChunkState.VERIFIED: ("■", "$text-success"),
}
_LOUDEST_FIRST = tuple(_CELLS)


class ChunkMap(Static):
    """Two lines per table: its rows verified, and one cell per chunk or per equal group of chunks."""

    DEFAULT_CSS = """
    ChunkMap { height: auto; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, board: Board, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._board = board

    def paint(self) -> None:
        """Show the board's tables."""
        tables = tuple(self._board.tables.values()) if self._board.tables_of == self._board.current else ()
        self.display = bool(tables)
        if not tables:
            return
        cells = max(20, self.size.width)
        lines = [line for table in tables for line in (_bar_of(table, cells), _cells_of(table, cells))]
        self.update(Content("\n").join([*lines, _legend(), *self._speed(tables)]))

    def _speed(self, tables: Sequence[TableTrack]) -> list[Content]:
        meter = self._board.sending
        shape = meter.shape()
        total = sum(table.bytes for table in tables)
        if not meter.rate or all(_is_whole(table) for table in tables):
            return []
        left = meter.left(total)
        about = f"   about {lasted(left)} left" if left else ""
        speed = (f"{amount(meter.rate, 'bytes')}/s ", "bold")
        return [Content.assemble(speed, (sparkline(shape), "$text-primary"), (about, "dim"))]


def _is_whole(table: TableTrack) -> bool:
    return bool(table.chunks) and table.chunks_in(ChunkState.VERIFIED) == len(table.chunks)


def _bar_of(table: TableTrack, cells: int) -> Content:
    known = sum(chunk.rows for chunk in table.chunks.values())
    verified = table.rows_in(ChunkState.VERIFIED)
    total = known if _is_whole(table) else max(table.rows, known)
    share = verified / total if total else float(_is_whole(table))
    return measured(one_line(table.table), share, f"{count(verified)} / {count(total)}", cells)


def _cells_of(table: TableTrack, cells: int) -> Content:
    states = [table.chunks[index].state for index in sorted(table.chunks)]
    if not states:
        return Content.styled("waiting", "dim")
    group = -(-len(states) // cells)
    loudest = [min(states[start : start + group], key=_LOUDEST_FIRST.index) for start in range(0, len(states), group)]
    return Content.assemble(*(_CELLS[state] for state in loudest))


def _legend() -> Content:
    parts = [("■ verified", "$text-success"), ("▣ comparing or copying", "$text-primary")]
    parts += [("□ waiting", "dim"), ("✗ differs", "$text-error")]
    return Content("   ").join(Content.styled(*part) for part in parts)
