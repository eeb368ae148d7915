"""How far to roll back, and what to do when that stops: the questions behind the key for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from screens.wording import counted
from tekup_migrate.errors import MigrationError
from tekup_migrate.plan import Plan
from tekup_migrate.questions import Option, Question
from tekup_migrate.rollback import UndoLine

KEEP, AGAIN = "", "again"
RESTORE, A_STEP, EARLIER = "from a backup", "to a step", "earlier steps"
"""No step and no phase can have one of these ids: theirs have no spaces."""

_STEPS_A_PAGE = 7
"""A dialog has nine keys; two of them are for keeping everything, and for the steps before these."""


async def chosen_end(
    outline: Sequence[UndoLine], plan: Plan, choose: Callable[[Question], Awaitable[str]], *, restorable: bool
) -> str:
    """Ask how far to roll back; return a step's or a phase's id, ``KEEP`` or ``RESTORE``.

    Args:
        outline: every step that a roll back to the start goes through, the last one first.
        plan: the consolidation.
        choose: asks a question.
        restorable: whether there is a backup that could be restored instead.
    """
    to = await choose(how_far(outline, plan, restorable=restorable))
    place = 0
    while to in (A_STEP, EARLIER):
        to = await choose(which_step(outline, place))
        place += _STEPS_A_PAGE
    return to


def how_far(outline: Sequence[UndoLine], plan: Plan, *, restorable: bool = False) -> Question:
    """Return the question how far to roll back: the last step, a phase, any other step, or a backup instead."""
    asked = [line for line in outline if line.asks]
    options = [Option(KEEP, "Keep everything: nothing is taken back")]
    options += [Option(line.id, f"Only the last: {line.title}, {_count(asked, 1)}") for line in asked[:1]]
    if len(asked) > 1:
        options.append(Option(A_STEP, "To before another step …"))
    titles = {phase.id: phase.title for phase in plan.phases}
    for phase in dict.fromkeys(line.phase for line in outline):
        through = sum(line.asks for line in outline[: _last_of(outline, phase) + 1])
        options.append(Option(phase, f"To before phase “{titles[phase]}”: {_count(asked, through)}"))
    if restorable:
        options.append(Option(RESTORE, "Restore from a backup …, the last resort"))
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


def which_step(outline: Sequence[UndoLine], first: int) -> Question:
    """Return the question to before which step to roll back, beginning with the one at ``first``, the latest at 0."""
    asked = [line for line in outline if line.asks]
    page = asked[first : first + _STEPS_A_PAGE]
    options = [Option(KEEP, "Keep everything: nothing is taken back")]
    options += [
        Option(line.id, f"To before “{line.title}”: {_count(asked, place)}")
        for place, line in enumerate(page, first + 1)
    ]
    if len(asked) > first + _STEPS_A_PAGE:
        options.append(Option(EARLIER, "An earlier step …"))
    return Question(
        title="Roll back: to before which step?",
        text="The chosen step is taken back too, and all that came after it, the last one first.",
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
    return f"{counted(through, 'step')}" + (f", {destructive} destructive" if destructive else "")
