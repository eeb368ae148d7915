"""Names that this tool makes are never cut by Postgres, which counts bytes and not characters."""

from __future__ import annotations

import pytest

from tekup_migrate.plan_floor import FloorIndex
from tekup_migrate.postgres.quoting import LONGEST_NAME_BYTES, cut_name
from tekup_migrate.postgres.transplant.floor import _index_name
from tekup_migrate.postgres.vector_index import Method, VectorColumn, recommend
from tekup_migrate.postgres.vector_index.recommendation import ServerMemory

WIDE = ("rengøringsmedarbejdernes_nøglekvitteringer_på_ærø_og_å", "🔑" * 15, "a" + "🔑" * 14, "ø" * 31, "x" * 63)


@pytest.mark.parametrize("name", WIDE)
def test_a_name_is_cut_at_a_characters_edge_and_keeps_its_ending(name: str) -> None:
    made = cut_name(name, "_åben_idx")
    assert made.endswith("_åben_idx")
    assert name.startswith(made.removesuffix("_åben_idx"))
    longest = max(len(character.encode()) for character in name)
    assert LONGEST_NAME_BYTES - longest < len(made.encode()) <= LONGEST_NAME_BYTES


def test_a_name_that_fits_is_left_as_it_is() -> None:
    assert cut_name("ø" * 31) == "ø" * 31
    assert cut_name("nøgler", "_idx") == "nøgler_idx"


@pytest.mark.parametrize("table", WIDE)
def test_names_of_indexes_that_are_made_fit(table: str) -> None:
    name = cut_name(*_index_name(table, FloorIndex(columns=("løbenummer", "lower(ændret_af)"), unique=True)))
    assert len(name.encode()) <= LONGEST_NAME_BYTES
    assert name.endswith("_key")
    column = VectorColumn(
        relation_schema="public", table=table, column="indlejring", type="vector", extension_schema="extensions",
        dimensions=1536, rows=100_000,
    )  # fmt: skip
    memory = ServerMemory(total=8 << 30, maintenance_work_mem=64 << 20, parallel_workers=2)
    index = recommend(column, memory, method=Method.HNSW).name
    assert len(index.encode()) <= LONGEST_NAME_BYTES
    assert index.endswith("_hnsw")
