"""What a database holds, as typed, frozen objects.

Expressions and types are the server's own text, printed under an empty ``search_path`` and therefore qualified.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct


class Kind(StrEnum):
    """The kinds of object that are told apart; the value is how each is named to the operator."""

    SCHEMA = "schema"
    EXTENSION = "extension"
    ENUM = "enum type"
    DOMAIN = "domain"
    COMPOSITE = "composite type"
    RANGE = "range type"
    SEQUENCE = "sequence"
    TABLE = "table"
    PARTITIONED_TABLE = "partitioned table"
    FOREIGN_TABLE = "foreign table"
    VIEW = "view"
    MATERIALIZED_VIEW = "materialized view"
    FUNCTION = "function"
    CONSTRAINT = "constraint"
    FOREIGN_KEY = "foreign key"
    INDEX = "index"
    TRIGGER = "trigger"
    RULE = "rule"
    POLICY = "policy"
    STATISTICS = "statistics object"
    PUBLICATION = "publication"
    COLLATION = "collation"
    DICTIONARY = "text search dictionary"
    CONFIGURATION = "text search configuration"
    AGGREGATE = "aggregate"
    OPERATOR = "operator"
    CAST = "cast"
    EVENT_TRIGGER = "event trigger"
    DEFAULT_PRIVILEGES = "default privileges"
    OTHER = "other object"

    def counted(self, count: int) -> str:
        """Return how many of it: ``1 policy``, ``2 policies``."""
        word = self.value
        if count != 1 and self is not Kind.DEFAULT_PRIVILEGES:
            word = f"{word[:-1]}ies" if word.endswith("y") and not word.endswith("ey") else f"{word}s"
            word = "indexes" if self is Kind.INDEX else word
        return f"{count} {word}"


RELATIONS = frozenset(
    {Kind.TABLE, Kind.PARTITIONED_TABLE, Kind.FOREIGN_TABLE, Kind.VIEW, Kind.MATERIALIZED_VIEW, Kind.SEQUENCE}
)
CALLED = frozenset({Kind.FUNCTION, Kind.AGGREGATE})
"""What has arguments, and is called in expressions."""
WITH_ARGUMENTS = CALLED | {Kind.OPERATOR}
"""What may be there several times under one name, for different types."""
TYPES = frozenset({Kind.ENUM, Kind.DOMAIN, Kind.COMPOSITE, Kind.RANGE})


class ObjectKey(Struct, frozen=True, order=True):
    """What names an object within one database.

    Attributes:
        kind: what it is.
        schema: its schema, or its table's; empty for what lives in none.
        name: its own name.
        parent: the relation that it hangs on, for constraints, triggers, rules, policies and publications.
        arguments: a function's or operator's argument types as the server prints them.
    """

    kind: Kind
    schema: str
    name: str
    parent: str = ""
    arguments: str = ""

    def __str__(self) -> str:
        place = ".".join(part for part in (self.schema, self.parent) if part)
        arguments = f"({self.arguments})" if self.kind in WITH_ARGUMENTS else ""
        if self.parent:
            return f"{self.kind.value} {self.name} on {place}"
        return f"{self.kind.value} {place}.{self.name}{arguments}" if place else f"{self.kind.value} {self.name}"


@dataclass(frozen=True)
class Grant:
    """What one role may do.

    ``whole`` says that it is all that the server's version knows; ``grantor`` is who gave it, empty for the owner.
    """

    grantee: str
    privileges: tuple[str, ...]
    grantable: bool = False
    whole: bool = False
    grantor: str = ""


@dataclass(frozen=True)
class SequenceOptions:
    """How a sequence counts."""

    type: str
    start: int
    increment: int
    minimum: int
    maximum: int
    cache: int
    cycle: bool


@dataclass(frozen=True)
class Column:
    """One column of a table, view or composite type; ``generated`` and ``identity`` are the catalog's letters.

    ``not_null_state`` is i for NO INHERIT and v for NOT VALID, which Postgres 18 brought.
    """

    number: int
    name: str
    type: str
    not_null: bool = False
    not_null_name: str = ""
    not_null_state: str = ""
    default: str | None = None
    generated: str = ""
    identity: str = ""
    collation: str | None = None
    storage: str | None = None
    compression: str = ""
    statistics: int | None = None
    options: tuple[str, ...] = ()
    comment: str | None = None
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CatalogObject:
    """What every object has: ``mine`` says whether the connected role may act as its owner."""

    key: ObjectKey
    oid: int
    owner: str = ""
    mine: bool = True
    comment: str | None = None
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Schema(CatalogObject):
    """A schema; ``open_to`` are the roles that may look into it, by what they or others were granted."""

    open_to: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Extension(CatalogObject):
    """An installed extension; ``schema`` is where its objects live."""

    version: str
    schema: str


@dataclass(frozen=True, kw_only=True)
class EnumType(CatalogObject):
    """An enum and its labels in order."""

    labels: tuple[str, ...]


@dataclass(frozen=True)
class DomainCheck:
    """A check of a domain."""

    name: str
    definition: str
    comment: str | None = None


@dataclass(frozen=True, kw_only=True)
class Domain(CatalogObject):
    """A domain over ``base``."""

    base: str
    not_null: bool
    default: str | None
    collation: str | None
    checks: tuple[DomainCheck, ...]


@dataclass(frozen=True, kw_only=True)
class CompositeType(CatalogObject):
    """A composite type and its attributes."""

    columns: tuple[Column, ...]


@dataclass(frozen=True, kw_only=True)
class RangeType(CatalogObject):
    """A range type over ``subtype``."""

    subtype: str
    opclass: str | None
    collation: str | None
    difference: str | None
    canonical: str | None
    multirange: str


@dataclass(frozen=True, kw_only=True)
class Sequence(CatalogObject):
    """A sequence; ``owned_by`` is a table's schema, name and column, ``identity`` whether it is its identity."""

    options: SequenceOptions
    persistence: str
    owned_by: tuple[str, str, str] | None
    identity: bool


@dataclass(frozen=True, kw_only=True)
class Table(CatalogObject):
    """A table and what is stored with it.

    Attributes:
        persistence: the catalog's letter: p(ermanent) or u(nlogged).
        options: storage parameters, those of the TOAST table with their prefix.
        replica_identity: the catalog's letter: d(efault), n(othing), f(ull) or i(ndex).
        replica_index: the index of the replica identity, or empty.
        clustered_index: the index it was last clustered on, or empty.
        irregular: why it cannot be moved (partition, inheritance, typed table), or empty.
        rows: the planner's estimate, negative when never analysed.
    """

    columns: tuple[Column, ...]
    persistence: str
    options: tuple[str, ...]
    access_method: str
    row_security: bool
    row_security_forced: bool
    replica_identity: str
    replica_index: str
    clustered_index: str
    irregular: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class View(CatalogObject):
    """A view or materialized view; ``clustered_index`` is the index that this was last clustered on, or empty."""

    query: str
    options: tuple[str, ...]
    columns: tuple[Column, ...]
    populated: bool
    clustered_index: str


@dataclass(frozen=True, kw_only=True)
class Function(CatalogObject):
    """A function or procedure.

    Attributes:
        head: its definition up to the body, as the server prints it.
        body: the body as it was written, or empty where ``head`` holds all of it.
        language: the language's name.
        returns_rows: whether it returns a set.
        argument_types: the types of its input arguments.
        procedure: whether it is called, not selected from.
    """

    head: str
    body: str
    language: str
    returns_rows: bool
    argument_types: tuple[str, ...]
    procedure: bool


@dataclass(frozen=True, kw_only=True)
class PlainObject(CatalogObject):
    """Something that is written as a name and options: ``definition`` follows the name.

    ``changes`` follow ``ALTER`` and the name, each in a statement of its own.
    """

    definition: str
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Constraint(CatalogObject):
    """A table constraint; ``type`` is the catalog's letter: p, u, c, x or f, ``options`` its index's parameters."""

    type: str
    definition: str
    options: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Index(CatalogObject):
    """An index.

    Attributes:
        table: the name of the relation it is on, in the same schema.
        definition: what follows ``ON`` in its definition.
        unique: whether it is unique.
        method: the access method.
        constraint: the constraint that made it, or empty.
        statistics: column numbers and their statistics targets.
        bytes: its size on disk.
    """

    table: str
    definition: str
    unique: bool
    method: str
    constraint: str
    statistics: tuple[tuple[int, int], ...]
    bytes: int

    @property
    def finds_vectors(self) -> bool:
        """Whether it is one of pgvector's."""
        return self.method in ("ivfflat", "hnsw")


@dataclass(frozen=True, kw_only=True)
class Trigger(CatalogObject):
    """A trigger; ``enabled`` is the catalog's letter: O, D, R or A."""

    definition: str
    enabled: str


@dataclass(frozen=True, kw_only=True)
class EventTrigger(CatalogObject):
    """An event trigger, which acts on the whole database.

    Attributes:
        event: when it runs, as ``ddl_command_end``.
        tags: the commands that it runs for, or none for every command.
        function: what it runs, with schema and brackets as the server prints it.
        enabled: the catalog's letter: O, D, R or A.
        own: whether it is the project's and not the platform's.
    """

    event: str
    tags: tuple[str, ...]
    function: str
    enabled: str
    own: bool


@dataclass(frozen=True, kw_only=True)
class Rule(CatalogObject):
    """A rewrite rule other than a view's own."""

    definition: str
    enabled: str


@dataclass(frozen=True, kw_only=True)
class RowPolicy(CatalogObject):
    """A row-level security policy."""

    command: str
    permissive: bool
    roles: tuple[str, ...]
    using: str | None
    check: str | None


@dataclass(frozen=True, kw_only=True)
class StatisticsObject(CatalogObject):
    """An extended statistics object on ``table``, which may be in another schema."""

    table: str
    table_schema: str
    definition: str
    target: int | None


@dataclass(frozen=True, kw_only=True)
class PublicationTable(CatalogObject):
    """A table's membership in a publication; ``oid`` is 0 where that has all tables, or all of the schema."""

    columns: tuple[str, ...]
    where: str | None
