"""How the kinds of object are named to the operator."""

from __future__ import annotations

import pytest

from tekup_migrate.postgres.catalog.objects import Kind


@pytest.mark.parametrize(
    ("kind", "count", "said"),
    [
        (Kind.POLICY, 1, "1 policy"),
        (Kind.POLICY, 6, "6 policies"),
        (Kind.INDEX, 4, "4 indexes"),
        (Kind.FOREIGN_KEY, 2, "2 foreign keys"),
        (Kind.TABLE, 3, "3 tables"),
        (Kind.DEFAULT_PRIVILEGES, 2, "2 default privileges"),
    ],
)
def test_a_count_of_a_kind_reads_as_english(kind: Kind, count: int, said: str) -> None:
    assert kind.counted(count) == said
