"""What state everything is in, in sentences: what a pause says, and what stopping at once would leave."""

from __future__ import annotations

from screens.board import Board
from screens.wording import one_line
from tekup_migrate.events import ChunkState, StepState


def standing(board: Board) -> tuple[str, ...]:
    """Return what state everything is in, in sentences, for a pause or a stop."""
    done = sum(status.state in (StepState.DONE, StepState.SKIPPED) for status in board.steps.values())
    lines = [f"{done} of {len(board.steps)} steps are done, and kept in the journal."]
    status = board.status
    if status is not None and status.state is StepState.PAUSED:
        lines.append(f"“{status.title}” is begun and not finished; resuming looks at the world first, then goes on.")
        for table in board.tables.values():
            verified = table.chunks_in(ChunkState.VERIFIED)
            lines.append(f"{table.table}: {verified} of {len(table.chunks)} chunks are verified on the target.")
    elif status is not None and status.state is StepState.FAILED:
        why = f": {status.summary}" if status.summary else ""
        lines.append(f"“{status.title}” did not pass{why}. It is previewed and tried again on resuming.")
    elif status is not None and status.state is StepState.WAITING:
        lines.append(f"“{status.title}” was not applied: nothing of it was changed.")
    lines.append("Nothing is running now.")
    return tuple(lines)


def left_by_a_stop(board: Board) -> str:
    """Return what would be left half done if everything stopped now."""
    status = board.status
    if status is None or board.live_seconds == 0:
        return "Nothing is running, so nothing would be left half done. The journal keeps every finished step."
    return (
        f"“{one_line(status.title)}” is left begun and not finished. The journal knows it: started again, "
        "tekup-migrate looks at the world first and then goes on."
    )
