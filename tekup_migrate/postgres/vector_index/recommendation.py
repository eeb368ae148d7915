"""Which index a vector column should have, with which parameters, and why.

The rules follow pgvector's README and the measurements that are written down in the project's facts: an index built
before the load finds a sixth of what it should; below some thousand rows an exact scan is as fast and finds everything.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct

from tekup_migrate.postgres.catalog.objects import Index
from tekup_migrate.postgres.quoting import Relation, cut_name, quote_ident, quote_literal
from tekup_migrate.postgres.vector_index.columns import VectorColumn, covers, metric_of

if TYPE_CHECKING:
    import asyncpg

EXACT_BELOW_ROWS = 5_000
LARGEST_VECTOR_DIMENSIONS = 2_000
LARGEST_HALFVEC_DIMENSIONS = 4_000
PAGE_BYTES = 8_192
SHARE_OF_MEMORY = 0.4
SLOW_BUILD = 4
"""How many times the memory an hnsw graph may be before it takes too long to build: it needs no tuning by the app."""

_MEMORY = """
    SELECT (SELECT setting::int8 * 8192 FROM pg_settings WHERE name = 'shared_buffers') AS shared_buffers,
           (SELECT setting::int8 * 1024 FROM pg_settings WHERE name = 'maintenance_work_mem') AS maintenance_work_mem,
           current_setting('max_parallel_workers')::int AS parallel_workers
"""


class Method(Enum):
    """How vectors are found."""

    NONE = "none"
    IVFFLAT = "ivfflat"
    HNSW = "hnsw"


class ServerMemory(Struct, frozen=True, kw_only=True):
    """What a server has, in bytes; ``total`` is the operator's word, or ``guessed``."""

    total: int
    maintenance_work_mem: int
    parallel_workers: int
    guessed: bool = False

    @property
    def told(self) -> str:
        """How much there is and how that is known, for the operator."""
        size = f"{self.total / 2**30:.1f} GB of memory"
        if self.guessed:
            return f"The server is taken to have {size}, four times its shared_buffers; the plan's memory_gb says it"
        return f"The plan says that the server has {size}"

    @property
    def for_building(self) -> int:
        """The most that one index build may take."""
        return max(int(self.total * SHARE_OF_MEMORY), self.maintenance_work_mem)

    def granted(self, needed: int) -> int:
        """Return the memory, in bytes, to give a build that needs this much: some more, as far as there is any."""
        return min(max(needed * 5 // 4, self.maintenance_work_mem), self.for_building)

    @property
    def granted_workers(self) -> int:
        """How many parallel workers a build is given: one fewer than the server has, and at most four."""
        return max(0, min(4, self.parallel_workers - 1))


class Recommendation(Struct, frozen=True, kw_only=True):
    """What to build on one vector column.

    Attributes:
        column: the column, as the target names it.
        method: how vectors are to be found.
        metric: ``l2``, ``ip`` or ``cosine``.
        halfvec: whether the index holds half-precision vectors of a column that has full ones.
        parameters: the index's storage parameters.
        name: the index's name.
        reason: why, for the operator.
        warning: what will go wrong, or empty.
        build_bytes: the memory that a fast build needs.
        index_bytes: what it will take on disk.
        maintenance_work_mem: what to set for the build, in bytes.
        parallel_workers: what to set for the build.
        search_settings: settings under which searches find more, for the app's own session or function.
        memory: how much memory was reckoned with, and whether that is a guess.
        comment: the source's comment on its index, or None.
    """

    column: VectorColumn
    method: Method
    metric: str
    halfvec: bool
    parameters: dict[str, int]
    name: str
    reason: str
    warning: str = ""
    build_bytes: int = 0
    index_bytes: int = 0
    maintenance_work_mem: int = 0
    parallel_workers: int = 0
    search_settings: dict[str, str] = {}
    memory: str = ""
    comment: str | None = None

    @property
    def fits(self) -> bool:
        """Whether the build can succeed with the memory it gets; hnsw can always, if slowly."""
        return self.method is not Method.IVFFLAT or self.build_bytes <= self.maintenance_work_mem

    def statements(self, *, concurrently: bool = False) -> tuple[str, ...]:
        """Return everything that makes the index as it shall be: the index, and the source's comment on it."""
        create = self.statement(concurrently=concurrently)
        if not create or self.comment is None:
            return (create,) if create else ()
        name = Relation(self.column.relation_schema, self.name).sql
        return create, f"COMMENT ON INDEX {name} IS {quote_literal(self.comment).strip()}"

    def statement(self, *, concurrently: bool = False) -> str:
        """Return the CREATE INDEX statement, or nothing where none is recommended."""
        if self.method is Method.NONE:
            return ""
        schema = quote_ident(self.column.extension_schema)
        type_ = "halfvec" if self.halfvec or self.column.type == "halfvec" else "vector"
        subject = quote_ident(self.column.column)
        if self.halfvec:
            subject = f"(({subject})::{schema}.halfvec({self.column.dimensions}))"
        options = ", ".join(f"{name} = {value}" for name, value in self.parameters.items())
        return (
            f"CREATE INDEX {'CONCURRENTLY ' if concurrently else ''}{quote_ident(self.name)}"
            f" ON {self.column.relation.sql} USING {self.method.value}"
            f" ({subject} {schema}.{type_}_{self.metric}_ops) WITH ({options})"
        )


async def server_memory(connection: asyncpg.Connection, *, total: int | None = None) -> ServerMemory:
    """Return a server's memory; without the operator's word it is taken as four times ``shared_buffers``.

    A quarter of the memory is the usual setting for ``shared_buffers``, on Supabase too.
    """
    row = await connection.fetchrow(_MEMORY)
    assert row is not None
    return ServerMemory(
        total=total or 4 * row["shared_buffers"],
        maintenance_work_mem=row["maintenance_work_mem"],
        parallel_workers=row["parallel_workers"],
        guessed=not total,
    )


def _no_index(column: VectorColumn, memory: ServerMemory, *, metric: str, name: str, reason: str) -> Recommendation:
    if column.dimensions > LARGEST_HALFVEC_DIMENSIONS:
        reason = f"pgvector cannot index {column.dimensions} dimensions; searches scan all rows, which is exact"
    return Recommendation(
        column=column,
        method=Method.NONE,
        metric=metric,
        halfvec=False,
        parameters={},
        name=name,
        reason=reason,
        memory=memory.told,
    )


def recommend(
    column: VectorColumn,
    memory: ServerMemory,
    *,
    source_indexes: Iterable[Index] = (),
    metric: str | None = None,
    name: str = "",
    method: Method | None = None,
    halfvec: bool | None = None,
) -> Recommendation:
    """Say what to build on a column.

    Args:
        column: the target's column, loaded or with the rows that it will have.
        memory: the target's.
        source_indexes: the source's vector indexes on the same table; one on this column is kept where sensible.
        metric: the distance that the app searches by, where it is known and no index tells.
        name: the index's name; made from the table and column where empty.
        method: the operator's own choice, where there is one.
        halfvec: whether that choice is of half precision.
    """
    existing = next((index for index in source_indexes if covers(index, column.column)), None)
    # ivfflat's default operator class is l2's, and the server does not print a default.
    metric = (metric_of(existing.definition) or "l2") if existing else metric or "cosine"
    chosen, reason = _choose(column, memory, existing)
    if method is not None and (method is not chosen or halfvec):
        chosen, reason = method, f"chosen by the operator instead of {chosen.value} ({reason})"
    halfvec = column.type == "vector" and (bool(halfvec) or column.dimensions > LARGEST_VECTOR_DIMENSIONS)
    if chosen is Method.NONE or column.dimensions > LARGEST_HALFVEC_DIMENSIONS:
        return _no_index(column, memory, metric=metric, name=name, reason=reason)
    parameters = _parameters(chosen, column, existing)
    needed = build_bytes(chosen, column, parameters, halfvec=halfvec)
    granted = memory.granted(needed)
    return Recommendation(
        column=column,
        method=chosen,
        metric=metric,
        halfvec=halfvec,
        parameters=parameters,
        name=name or cut_name(f"{column.table}_{column.column}", f"_{chosen.value}"),
        reason=reason,
        warning=_warning(chosen, needed, granted),
        build_bytes=needed,
        index_bytes=index_bytes(column, halfvec=halfvec),
        maintenance_work_mem=granted,
        parallel_workers=memory.granted_workers,
        search_settings=_search_settings(chosen, column, parameters),
        memory=memory.told,
        comment=existing.comment if existing else None,
    )


def build_bytes(method: Method, column: VectorColumn, parameters: dict[str, int], *, halfvec: bool) -> int:
    """Return the memory that a build needs to go fast (hnsw) or to go at all (ivfflat).

    hnsw keeps its whole graph: each row's vector and its neighbours. ivfflat keeps a sample of 50 rows a list, at least
    10 000, and its centres (``ivfbuild.c`` of pgvector 0.8).
    """
    one = _vector_bytes(column, halfvec=halfvec)
    if method is Method.HNSW:
        return column.rows * (one + 64 * parameters.get("m", 16))
    lists = parameters.get("lists", 100)
    return (max(50 * lists, 10_000) + 3 * lists) * one + 4 * lists * lists * 2


def index_bytes(column: VectorColumn, *, halfvec: bool) -> int:
    """Return what an index takes on disk: vectors do not cross pages."""
    per_page = max(1, PAGE_BYTES // (_vector_bytes(column, halfvec=halfvec) + 300))
    return math.ceil(column.rows / per_page) * PAGE_BYTES


def ivfflat_lists(rows: int) -> int:
    """Return pgvector's guidance: a thousandth of the rows up to a million, their square root above."""
    return max(1, rows // 1000 if rows <= 1_000_000 else math.isqrt(rows))


def _choose(column: VectorColumn, memory: ServerMemory, existing: Index | None) -> tuple[Method, str]:
    rows = f"{column.rows:,} rows"
    if column.rows < EXACT_BELOW_ROWS and not (existing and existing.method == "hnsw"):
        left = f"; the source's {existing.method} index would only lose matches" if existing else ""
        return Method.NONE, f"with {rows} an exact scan takes milliseconds and finds everything{left}"
    halfvec = column.type == "vector" and column.dimensions > LARGEST_VECTOR_DIMENSIONS
    needed = build_bytes(Method.HNSW, column, {"m": 16}, halfvec=halfvec)
    if existing and existing.method == "hnsw":
        return Method.HNSW, f"the source has an hnsw index, and it suits {rows}"
    if needed <= SLOW_BUILD * memory.for_building:
        instead = "; the source's ivfflat finds less unless every search sets ivfflat.probes" if existing else ""
        return (
            Method.HNSW,
            f"with {rows} hnsw finds the most without any setting of the app's{instead}",
        )
    return Method.IVFFLAT, f"the hnsw graph of {rows} needs {needed >> 20} MB, far more than the server should give it"


def _parameters(method: Method, column: VectorColumn, existing: Index | None) -> dict[str, int]:
    if method is Method.IVFFLAT:
        return {"lists": ivfflat_lists(column.rows)}
    kept = _stored_parameters(existing) if existing and existing.method == "hnsw" else {}
    return {"m": kept.get("m", 16), "ef_construction": kept.get("ef_construction", 128 if not kept else 64)}


def _stored_parameters(index: Index) -> dict[str, int]:
    _, _, options = index.definition.rpartition(" WITH (")
    pairs = (option.partition("=") for option in options.rstrip(")").split(","))
    return {name.strip(): int(value.strip(" '")) for name, _, value in pairs if value.strip(" '").isdigit()}


def _warning(method: Method, needed: int, granted: int) -> str:
    if needed <= granted:
        return ""
    if method is Method.IVFFLAT:
        return f"the build needs {needed >> 20} MB and gets {granted >> 20} MB: Postgres will refuse it"
    return f"the graph needs {needed >> 20} MB and gets {granted >> 20} MB: it is built on disk, several times slower"


def _search_settings(method: Method, column: VectorColumn, parameters: dict[str, int]) -> dict[str, str]:
    if method is Method.IVFFLAT:
        return {"ivfflat.probes": str(max(1, math.isqrt(parameters["lists"])))}
    return {"hnsw.ef_search": "100"} if column.rows > 50_000 else {}


def _vector_bytes(column: VectorColumn, *, halfvec: bool) -> int:
    return 8 + column.dimensions * (2 if halfvec or column.type == "halfvec" else 4)
