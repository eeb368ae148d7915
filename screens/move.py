"""The screen of a move phase: the tables on their way, with the chunk map."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.content import Content

from screens.phase import PhaseScreen
from screens.widgets.chunk_map import ChunkMap
from screens.wording import one_line


class MoveScreen(PhaseScreen):
    """Tables move from the source to the target, and each chunk is seen to arrive."""

    def subject(self) -> Content:
        """Return where the tables come from, where they go, and which they are."""
        plan = self.desk.plan
        tables = ", ".join(move.target for move in plan.moves_of(self.phase.app))
        route = f"{one_line(plan.source.title)}  →  {one_line(plan.target.title)}"
        return Content(f"{route}\n{tables}")

    def compose_live(self) -> ComposeResult:
        """Lay out the chunk map."""
        yield ChunkMap(self.desk.board)

    def paint_centre(self) -> None:
        """Show the chunk map too."""
        super().paint_centre()
        self.query_one(ChunkMap).paint()
