"""What the operator decided about names that the target uses for something else."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

from tekup_migrate.steps import Context, Option, Question

if TYPE_CHECKING:
    from tekup_migrate.postgres.catalog.objects import ObjectKey
    from tekup_migrate.postgres.comparison import Item, Resolution


class _Choice(Enum):
    RENAME = "rename"
    SHARE = "share"
    LEAVE = "leave"
    STOP = "stop"


_Decision = tuple["ObjectKey", str, str]
"""One decision as the journal keeps it: the source's key, the choice, and the new name of a renamed thing."""


def read_resolutions(context: Context, app: str) -> dict[ObjectKey, Resolution]:
    """Return the decisions about an app's move, by the source's key."""
    return {key: _resolution(_Choice(choice), name) for key, choice, name in _read(context, app)}


async def ask_about(context: Context, app: str, conflicts: Sequence[Item]) -> None:
    """Ask the operator about each conflict; one that is left open stays a conflict."""
    decisions = list(_read(context, app))
    for item in conflicts:
        name = f"{app}_{item.target.name}"
        chosen = _Choice(await context.operator.choose(_question(item, name)))
        if chosen is not _Choice.STOP:
            decisions.append((item.key, chosen.value, name))
            context.memory.remember(_note(app), msgspec.json.encode(decisions))


def _question(item: Item, name: str) -> Question:
    return Question(
        title=f"{item.target} is something else on the target",
        text=f"At the source:\n{item.definition}\n\nOn the target:\n{item.existing}\n\n{item.reason}",
        options=(
            Option(_Choice.STOP.value, "Decide later", "Nothing is created; the run stops here."),
            Option(_Choice.RENAME.value, f"Create it as {name}", "Everything that moves and refers to it follows."),
            Option(_Choice.SHARE.value, "Use the target's", "The moved tables use what is there, though it differs."),
            Option(_Choice.LEAVE.value, "Leave it behind", "The report says so."),
        ),
        safe=_Choice.STOP.value,
    )


def _resolution(choice: _Choice, name: str) -> Resolution:
    from tekup_migrate.postgres.comparison import LeaveBehind, NewName, Share

    match choice:
        case _Choice.RENAME:
            return NewName(name)
        case _Choice.SHARE:
            return Share()
        case _:
            return LeaveBehind("left behind by the operator")


def _read(context: Context, app: str) -> tuple[_Decision, ...]:
    from tekup_migrate.postgres.catalog.objects import ObjectKey

    kept = context.memory.recall(_note(app))
    return msgspec.json.decode(kept, type=tuple[tuple[ObjectKey, str, str], ...]) if kept else ()


def forget_resolutions(context: Context, app: str) -> None:
    """Forget what was decided about an app's move."""
    context.memory.forget(_note(app))


def _note(app: str) -> str:
    return f"resolutions:{app}"
