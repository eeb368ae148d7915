"""What a plan asks of a moved table whatever the source has, and what all parts of a plan have in common."""

from __future__ import annotations

from msgspec import Struct, field


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a plan: frozen, and an unknown key is a mistake."""


class FloorColumn(Part, frozen=True):
    """A column that a moved table must have at the end; type and default as in SQL."""

    name: str
    type: str
    not_null: bool = False
    default: str = ""


class FloorIndex(Part, frozen=True):
    """An index that a moved table must have at the end, whatever its name; ``name`` is for one that has to be made.

    ``columns`` are names or expressions, in order. Which index vectors get is chosen by what the rows need.
    """

    columns: tuple[str, ...]
    method: str = "btree"
    unique: bool = False
    parameters: dict[str, int] = field(default_factory=dict)
    name: str = ""


class Floor(Part, frozen=True):
    """What a moved table must have at the end, whatever the source has; ``enums`` holds labels by the type's name."""

    columns: tuple[FloorColumn, ...] = ()
    indexes: tuple[FloorIndex, ...] = ()
    enums: dict[str, tuple[str, ...]] = field(default_factory=dict)
