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
    comment: str = ""


class FloorIndex(Part, frozen=True):
    """An index that a moved table must have at the end, whatever its name; ``name`` is for one that has to be made.

    ``columns`` are names or expressions, in order. Which index vectors get is chosen by what the rows need.
    """

    columns: tuple[str, ...]
    method: str = "btree"
    unique: bool = False
    parameters: dict[str, int] = field(default_factory=dict)
    name: str = ""


class FloorForeignKey(Part, frozen=True):
    """A foreign key that a moved table must have at the end.

    Attributes:
        columns: the table's own columns, in order.
        references: the table that they refer to, by its name in the target.
        keys: that table's columns.
        on_delete: what becomes of a row whose parent is deleted, as in SQL; nothing is done where it is empty.
    """

    columns: tuple[str, ...]
    references: str
    keys: tuple[str, ...]
    on_delete: str = ""


class Floor(Part, frozen=True):
    """What a moved table must have at the end, whatever the source has.

    Where the source does not have the table at all, all of it is made from this.

    Attributes:
        columns: in the order in which a table that is made gets them.
        primary_key: its columns; on a table that the source has, a unique index of them is enough.
        foreign_keys: made once the rows are there.
        indexes: whatever their names.
        enums: labels in order, by the type's name.
        row_security: whether row-level security is on, which policies ask for anyway.
        comment: of the table, where the source's has none.
    """

    columns: tuple[FloorColumn, ...] = ()
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[FloorForeignKey, ...] = ()
    indexes: tuple[FloorIndex, ...] = ()
    enums: dict[str, tuple[str, ...]] = field(default_factory=dict)
    row_security: bool = False
    comment: str = ""

    @property
    def wanted_indexes(self) -> tuple[FloorIndex, ...]:
        """Every index, the primary key's among them."""
        key = FloorIndex(columns=self.primary_key, unique=True)
        return (key, *self.indexes) if self.primary_key else self.indexes
