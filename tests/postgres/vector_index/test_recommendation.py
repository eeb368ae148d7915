"""The recommended index follows rows, dimensions, memory and what the source has, and says why."""

from __future__ import annotations

import pytest

from tekup_migrate.postgres.catalog import Kind, ObjectKey
from tekup_migrate.postgres.catalog.objects import Index
from tekup_migrate.postgres.vector_index import Method, VectorColumn, metric_of, recommend
from tekup_migrate.postgres.vector_index.recommendation import ServerMemory, ivfflat_lists

GIGABYTE = 1 << 30


def column(rows: int, dimensions: int = 1536, type_: str = "vector") -> VectorColumn:
    return VectorColumn(
        relation_schema="public",
        table="notes",
        column="embedding",
        type=type_,
        extension_schema="extensions",
        dimensions=dimensions,
        rows=rows,
    )


def memory(gigabytes: float) -> ServerMemory:
    return ServerMemory(total=int(gigabytes * GIGABYTE), maintenance_work_mem=64 << 20, parallel_workers=2)


def index(method: str, options: str = "", subject: str = "embedding extensions.vector_l2_ops") -> Index:
    return Index(
        key=ObjectKey(Kind.INDEX, "public", "notes_embedding_idx"),
        oid=1,
        table="notes",
        definition=f"public.notes USING {method} ({subject}){options}",
        unique=False,
        method=method,
        constraint="",
        statistics=(),
        bytes=0,
    )


@pytest.mark.parametrize(
    ("rows", "gigabytes", "method"),
    [
        (0, 4, Method.NONE),
        (4_999, 4, Method.NONE),
        (5_000, 4, Method.HNSW),
        (100_000, 4, Method.HNSW),
        (100_000, 1, Method.HNSW),
        (100_000, 0.4, Method.IVFFLAT),
        (2_000_000, 4, Method.IVFFLAT),
    ],
)
def test_the_method_follows_rows_and_memory(rows: int, gigabytes: float, method: Method) -> None:
    chosen = recommend(column(rows), memory(gigabytes))
    assert chosen.method is method
    assert chosen.reason


def test_an_hnsw_index_of_the_source_is_kept_with_its_parameters_and_distance() -> None:
    chosen = recommend(column(800), memory(4), source_indexes=[index("hnsw", " WITH (m='8', ef_construction='32')")])
    assert (chosen.method, chosen.metric) == (Method.HNSW, "l2")
    assert chosen.parameters == {"m": 8, "ef_construction": 32}
    assert chosen.statement() == (
        'CREATE INDEX "notes_embedding_hnsw" ON "public"."notes" USING hnsw'
        ' ("embedding" "extensions".vector_l2_ops) WITH (m = 8, ef_construction = 32)'
    )


def test_an_ivfflat_index_over_few_rows_is_left_out_with_its_reason() -> None:
    chosen = recommend(column(2_000), memory(4), source_indexes=[index("ivfflat", " WITH (lists='100')")])
    assert chosen.method is Method.NONE
    assert "with 2,000 rows" in chosen.reason
    assert "ivfflat" in chosen.reason
    assert chosen.statement() == ""


def test_an_index_of_another_column_does_not_count() -> None:
    other = index("hnsw", subject="title_embedding extensions.vector_l2_ops")
    assert recommend(column(800), memory(4), source_indexes=[other]).method is Method.NONE


def test_more_dimensions_than_an_index_takes_go_half_precision_or_without() -> None:
    half = recommend(column(10_000, dimensions=3072), memory(8))
    assert '("embedding")::"extensions".halfvec(3072)) "extensions".halfvec_cosine_ops' in half.statement()
    none = recommend(column(10_000, dimensions=5000), memory(8))
    assert none.method is Method.NONE
    assert "5000 dimensions" in none.reason


def test_memory_for_the_build_is_asked_for_and_a_slow_or_impossible_one_is_said_beforehand() -> None:
    fits = recommend(column(30_000), memory(4))
    assert fits.warning == ""
    assert fits.maintenance_work_mem > 200 << 20
    slow = recommend(column(500_000), memory(2), method=Method.HNSW)
    assert "several times slower" in slow.warning
    assert slow.fits
    assert "chosen by the operator" in slow.reason
    refused = recommend(column(2_000_000), memory(0.25), method=Method.IVFFLAT)
    assert not refused.fits


@pytest.mark.parametrize(("rows", "lists"), [(10, 1), (20_000, 20), (1_000_000, 1000), (4_000_000, 2000)])
def test_lists_follow_pgvectors_guidance(rows: int, lists: int) -> None:
    assert ivfflat_lists(rows) == lists


@pytest.mark.parametrize(
    ("text", "metric"),
    [
        ("ORDER BY e <=> q", "cosine"),
        ("ORDER BY e OPERATOR(extensions.<->) q", "l2"),
        ("extensions.halfvec_ip_ops", "ip"),
        ("lower(a)", None),
    ],
)
def test_the_distance_is_read_from_an_index_or_a_body(text: str, metric: str | None) -> None:
    assert metric_of(text) == metric
