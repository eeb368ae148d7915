"""Which tables move, under which names, and what the operator decided about the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tekup_migrate.plan import Policy
from tekup_migrate.plan_floor import Floor
from tekup_migrate.postgres.catalog.objects import ObjectKey
from tekup_migrate.postgres.quoting import Relation

_NO_FLOOR = Floor()


@dataclass(frozen=True)
class TableMove:
    """One table to move, and what it must have at the end whatever the source has.

    ``made``: the source does not have it, and it is made empty from the floor; ``source`` is then a name that is free.
    ``planned``: what the plan calls it in the target, where the operator gave it another name; its floor means that.
    ``elsewhere``: where tables get to that other apps move, by what the plan calls them; its floor may refer to one.
    """

    source: Relation
    target: Relation
    policies: tuple[Policy, ...] = ()
    floor: Floor = _NO_FLOOR
    made: bool = False
    planned: str = ""
    elsewhere: Mapping[str, Relation] = field(default_factory=dict)

    @property
    def plan_name(self) -> str:
        """What the plan's floor calls the table in the target, whatever it is called there."""
        return self.planned or self.target.name


@dataclass(frozen=True)
class NewName:
    """The name, and the schema where it is not to be the same, that an object shall get in the target."""

    name: str
    schema: str = ""


@dataclass(frozen=True)
class Share:
    """Use what the target already has under that name, although its definition differs."""


@dataclass(frozen=True)
class LeaveBehind:
    """Do not carry it over."""

    reason: str


@dataclass(frozen=True)
class Bring:
    """Carry it over although it would stay behind."""


@dataclass(frozen=True)
class FollowStrings:
    """Let an object's string constants follow the renames too: they mean what they say."""


@dataclass(frozen=True)
class KeepStrings:
    """Leave an object's string constants as they are, whatever they say."""

    reason: str


Strings = Mapping[ObjectKey, FollowStrings | KeepStrings]
"""The operator's decisions about string constants that say an old name, by the source's key."""

Resolution = NewName | Share | LeaveBehind | Bring
Resolutions = Mapping[ObjectKey, Resolution]
"""The operator's decisions, by the source's key."""
