"""What the operator decides about each thing that hangs on the moved tables; kept in the journal as they decide it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

from tekup_migrate.plan import Move
from tekup_migrate.steps import Context

if TYPE_CHECKING:
    from tekup_migrate.postgres.catalog.objects import ObjectKey
    from tekup_migrate.postgres.comparison import Resolution


class Choice(Enum):
    """What becomes of one thing."""

    RENAME = "rename"
    SCHEMA = "schema"
    SHARE = "share"
    LEAVE = "leave"
    BRING = "bring"


_Decision = tuple["ObjectKey", str, str]
"""One decision as the journal keeps it: the source's key, the choice, and the new name or schema."""


def read_resolutions(context: Context, app: str) -> dict[ObjectKey, Resolution]:
    """Return the decisions about an app's move, by the source's key."""
    return {key: _resolution(Choice(choice), key, name) for key, choice, name in _read(context, app)}


def decide(context: Context, app: str, key: ObjectKey, choice: Choice, name: str = "") -> None:
    """Keep a decision about one thing, in the place of an earlier one; ``name`` is the new name or schema."""
    kept = [each for each in _read(context, app) if each[0] != key]
    context.memory.remember(resolutions_note(app), msgspec.json.encode([*kept, (key, choice.value, name)]))


def undecide(context: Context, app: str, key: ObjectKey) -> None:
    """Forget the decision about one thing."""
    kept = [each for each in _read(context, app) if each[0] != key]
    context.memory.remember(resolutions_note(app), msgspec.json.encode(kept))


def forget_resolutions(context: Context, app: str) -> None:
    """Forget what was decided about an app's move."""
    context.memory.forget(resolutions_note(app))


def planned_moves(context: Context, app: str) -> tuple[Move, ...]:
    """Return an app's moves, each table under the name that it gets: the plan's, or the one the operator chose."""
    from tekup_migrate.postgres.catalog.objects import Kind

    chosen = {
        key.name: name
        for key, choice, name in _read(context, app)
        if key.kind is Kind.TABLE and choice == Choice.RENAME.value
    }
    return tuple(_renamed(move, chosen) for move in context.plan.moves_of(app))


def all_moves(context: Context) -> tuple[Move, ...]:
    """Return every app's moves, each table under the name that it gets."""
    apps = dict.fromkeys(move.app for move in context.plan.moves)
    return tuple(move for app in apps for move in planned_moves(context, app))


def _renamed(move: Move, chosen: dict[str, str]) -> Move:
    name = next((chosen[source] for source in move.sources if source in chosen), move.target)
    return msgspec.structs.replace(move, target=name)


def _resolution(choice: Choice, key: ObjectKey, name: str) -> Resolution:
    from tekup_migrate.postgres.comparison import Bring, LeaveBehind, NewName, Share

    match choice:
        case Choice.RENAME:
            return NewName(name)
        case Choice.SCHEMA:
            return NewName(key.name, name)
        case Choice.SHARE:
            return Share()
        case Choice.BRING:
            return Bring()
        case _:
            return LeaveBehind("left behind by the operator")


def _read(context: Context, app: str) -> Sequence[_Decision]:
    from tekup_migrate.postgres.catalog.objects import ObjectKey

    kept = context.memory.recall(resolutions_note(app))
    return msgspec.json.decode(kept, type=tuple[tuple[ObjectKey, str, str], ...]) if kept else ()


def resolutions_note(app: str) -> str:
    """Return the key under which an app's decisions are kept in the run's notes."""
    return f"resolutions:{app}"
