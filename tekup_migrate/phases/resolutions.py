"""What the operator decides about each thing that hangs on the moved tables; kept in the journal as they decide it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tekup_migrate.plan import Move
from tekup_migrate.postgres.quoting import LONGEST_NAME_BYTES, Relation, quote_ident
from tekup_migrate.steps import Context

if TYPE_CHECKING:
    from tekup_migrate.postgres.catalog.objects import ObjectKey
    from tekup_migrate.postgres.comparison import FollowStrings, KeepStrings, Resolution


class Choice(Enum):
    """What becomes of one thing."""

    RENAME = "rename"
    SCHEMA = "schema"
    PLACE = "place"
    SHARE = "share"
    LEAVE = "leave"
    BRING = "bring"
    FOLLOW = "follow"
    KEEP = "keep"
    MAKE = "make"

    @property
    def of_strings(self) -> bool:
        """Whether it is about a thing's string constants; it stands beside what becomes of the thing."""
        return self in (Choice.FOLLOW, Choice.KEEP)


_NAME = r'"(?:[^"]|"")+"|[^".]+'
_PLACE = re.compile(rf"(?:({_NAME})\.)?({_NAME})")


class Place(NamedTuple):
    """A name that an operator typed, and the schema where they typed one."""

    schema: str
    name: str


def read_place(text: str) -> Place:
    """Read ``name`` or ``schema.name``; a part in double quotes may hold a dot, any other is taken as it stands.

    Raises:
        ValueError: it is no name, or one that Postgres does not take as it is; says why.
    """
    found = _PLACE.fullmatch(text.strip())
    if found is None:
        raise ValueError("That is neither a name nor a schema and a name with a dot between them.")
    schema, name = (_bare(part) for part in found.groups(default=""))
    for part in (schema, name):
        if len(part.encode()) > LONGEST_NAME_BYTES:
            raise ValueError(f"Postgres would cut {part} off: a name has at most {LONGEST_NAME_BYTES} bytes.")
    if schema.startswith("pg_") or schema in _CLOSED:
        raise ValueError(f"Nothing can be put into the schema {schema}: it is Postgres' or Supabase's own.")
    return Place(schema, name)


def place_of(relation: Relation) -> str:
    """Return a place as ``read_place`` reads it."""
    return f"{quote_ident(relation.schema)}.{quote_ident(relation.name)}"


def _bare(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part.strip()


_CLOSED = frozenset({"information_schema", "auth", "storage", "realtime"})
"""Schemas that take no DDL from Supabase's ``postgres`` role, and the SQL standard's own."""


_Decision = tuple["ObjectKey", str, str]
"""One decision as the journal keeps it: the source's key, the choice, and what goes with it.

That is a new name, a schema, a place as it was typed, or the reason to leave the thing behind.
"""


def read_resolutions(context: Context, app: str) -> dict[ObjectKey, Resolution]:
    """Return the decisions about an app's move, by the source's key."""
    kept = ((key, Choice(choice), word) for key, choice, word in _read(context, app))
    others = (each for each in kept if not each[1].of_strings and each[1] is not Choice.MAKE)
    return {key: _resolution(choice, key, word) for key, choice, word in others}


def read_strings(context: Context, app: str) -> dict[ObjectKey, FollowStrings | KeepStrings]:
    """Return the decisions about string constants that say an old name, by the source's key."""
    from tekup_migrate.postgres.comparison import FollowStrings, KeepStrings

    kept = ((key, Choice(choice), word) for key, choice, word in _read(context, app))
    return {
        key: FollowStrings() if choice is Choice.FOLLOW else KeepStrings(word)
        for key, choice, word in kept
        if choice.of_strings
    }


def decide(context: Context, app: str, key: ObjectKey, choice: Choice, word: str = "") -> None:
    """Keep a decision about one thing, in the place of an earlier like one; ``word`` is what goes with the choice."""
    kept = [each for each in _read(context, app) if each[0] != key or Choice(each[1]).of_strings != choice.of_strings]
    context.memory.remember(resolutions_note(app), msgspec.json.encode([*kept, (key, choice.value, word)]))


def undecide(context: Context, app: str, key: ObjectKey) -> None:
    """Forget the decision about one thing."""
    kept = [each for each in _read(context, app) if each[0] != key]
    context.memory.remember(resolutions_note(app), msgspec.json.encode(kept))


def forget_resolutions(context: Context, app: str) -> None:
    """Forget what was decided about an app's move."""
    context.memory.forget(resolutions_note(app))


def agree_to_make(context: Context, move: Move) -> None:
    """Keep the operator's word that a table which the source lacks is to be made empty from the plan's floor."""
    decide(context, move.app, _made_key(move), Choice.MAKE)


def is_to_be_made(context: Context, move: Move) -> bool:
    """Whether a table is to be made empty where the source lacks it, by the plan's or the operator's word."""
    return move.may_be_absent or any(key == _made_key(move) for key, _, _ in _read(context, move.app))


def _made_key(move: Move) -> ObjectKey:
    """Return what the word is kept under: the names that were looked for in vain, in no schema."""
    from tekup_migrate.postgres.catalog.objects import Kind, ObjectKey

    return ObjectKey(Kind.TABLE, "", ", ".join(move.sources))


class PlacedMove(Move, frozen=True):
    """A move of the plan as the operator settled it: ``target`` and ``schema`` are where the table gets to.

    ``planned`` is what the plan calls the table in the target, and means where it speaks of it elsewhere.
    """

    schema: str = "public"
    planned: str = ""

    @property
    def place(self) -> Relation:
        """The table in the target."""
        return Relation(self.schema, self.target)


def planned_moves(context: Context, app: str) -> tuple[PlacedMove, ...]:
    """Return an app's moves, each table where it gets to: by the plan, or as the operator chose."""
    from tekup_migrate.postgres.catalog.objects import Kind

    chosen = {
        key.name: Place("", word) if choice == Choice.RENAME.value else read_place(word)
        for key, choice, word in _read(context, app)
        if key.kind is Kind.TABLE and choice in (Choice.RENAME.value, Choice.PLACE.value)
    }
    return tuple(_placed(move, chosen) for move in context.plan.moves_of(app))


def all_moves(context: Context) -> tuple[PlacedMove, ...]:
    """Return every app's moves, each table where it gets to."""
    apps = dict.fromkeys(move.app for move in context.plan.moves)
    return tuple(move for app in apps for move in planned_moves(context, app))


def _placed(move: Move, chosen: dict[str, Place]) -> PlacedMove:
    place = next((chosen[source] for source in move.sources if source in chosen), Place("", move.target))
    parts = msgspec.structs.asdict(move) | {"target": place.name}
    return PlacedMove(**parts, schema=place.schema or "public", planned=move.target)


def _resolution(choice: Choice, key: ObjectKey, word: str) -> Resolution:
    from tekup_migrate.postgres.comparison import Bring, LeaveBehind, NewName, Share

    match choice:
        case Choice.RENAME:
            return NewName(word)
        case Choice.SCHEMA:
            return NewName(key.name, word)
        case Choice.PLACE:
            place = read_place(word)
            return NewName(place.name, place.schema)
        case Choice.SHARE:
            return Share()
        case Choice.BRING:
            return Bring()
        case _:
            return LeaveBehind(word or "left behind by the operator")


def _read(context: Context, app: str) -> Sequence[_Decision]:
    from tekup_migrate.postgres.catalog.objects import ObjectKey

    kept = context.memory.recall(resolutions_note(app))
    return msgspec.json.decode(kept, type=tuple[tuple[ObjectKey, str, str], ...]) if kept else ()


def resolutions_note(app: str) -> str:
    """Return the key under which an app's decisions are kept in the run's notes."""
    return f"resolutions:{app}"
