"""How far to roll back, and what to do when that stops: the questions behind the key for it."""

from __future__ import annotations

from collections.abc import Sequence

from tekup_migrate.errors import MigrationError
from tekup_migrate.plan import Plan
from tekup_migrate.rollback import UndoLine
from tekup_migrate.steps import Option, Question

KEEP, AGAIN = "", "again"


def how_far(outline: Sequence[UndoLine], plan: Plan) -> Question:
    """Return the question how far to roll back.

    An option's id is a step's or a phase's id, as ``Rollback.run`` takes it, or ``KEEP``.

    Args:
        outline: every step that a roll back to the start goes through, the last one first.
        plan: the consolidation.
    """
    asked = [line for line in outline if line.asks]
    options = [Option(KEEP, "Keep everything", "Nothing is taken back.")]
    # A dialog has nine keys: one step at a time reaches every step, whole phases reach far.
    options += [Option(line.id, f"Only the last: {line.title}", _count(asked, 1)) for line in asked[:1]]
    titles = {phase.id: phase.title for phase in plan.phases}
    for phase in dict.fromkeys(line.phase for line in outline):
        through = sum(line.asks for line in outline[: _last_of(outline, phase) + 1])
        options.append(Option(phase, f"To before phase “{titles[phase]}”", _count(asked, through)))
    return Question(
        title="Roll back: how far?",
        text="\n".join(
            (
                "Each step is shown with exactly what undoing it does, and confirmed on its own.",
                *(f"↶ {line.title}: {line.note} ({line.undo})" for line in asked),
            )
        ),
        options=tuple(options),
        safe=KEEP,
    )


def on_trouble(error: MigrationError) -> Question:
    """Return the question what to do about a step that could not be taken back."""
    return Question(
        title=error.title,
        text=str(error),
        options=(
            Option(KEEP, "Stop here", "What was taken back stays so; the rest is as it was."),
            Option(AGAIN, "Try again", "The step is previewed anew."),
        ),
        safe=KEEP,
    )


def _last_of(outline: Sequence[UndoLine], phase: str) -> int:
    """Return the place of the last line to go through to be before a phase."""
    return max(place for place, line in enumerate(outline) if line.phase == phase)


def _count(asked: Sequence[UndoLine], through: int) -> str:
    """Say how many steps are taken back, and how many of them destroy something."""
    destructive = sum(line.danger == "destructive" for line in asked[:through])
    return f"{through} steps to confirm" + (f", {destructive} of them destructive" if destructive else "")
