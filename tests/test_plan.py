"""The plan as data: the built-in one is whole, and a mistake is reported with its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tekup_migrate.errors import PlanError
from tekup_migrate.overview import plan_lines
from tekup_migrate.phases import steps_of
from tekup_migrate.plan import BUILT_IN, read_plan


def test_the_built_in_plan_has_the_written_plans_phases_and_hours() -> None:
    plan = read_plan(BUILT_IN)
    assert [(p.kind, p.hours) for p in plan.phases] == [
        ("setup", (1, 2)),
        ("move", (2, 3)),
        ("adopt", (1, 1)),
        ("adopt", (3, 4)),
        ("testing", (1, 2)),
        ("cleanup", (1, 1)),
    ]
    assert [(s.hours, len(s.phases)) for s in plan.sittings] == [(4, 2), (2, 1), (4, 2), (1, 1)]
    assert len(plan.criteria) == 10
    assert [app.path for app in plan.apps.values()] == ["~/TekupVault", "~/Tekup-Billy", "~/RendetaljeOS"]


def test_the_built_in_plan_looks_for_both_names_of_every_table() -> None:
    moves = read_plan(BUILT_IN).moves
    assert [(m.sources, m.target) for m in moves] == [
        (("vault_documents", "documents"), "vault_documents"),
        (("vault_embeddings", "embeddings"), "vault_embeddings"),
        (("vault_sync_status", "sync_status"), "vault_sync_status"),
    ]
    assert all({role for p in m.policies for role in p.roles} == {"service_role", "authenticated"} for m in moves)


def test_plan_lists_each_tables_names_and_floor_under_the_phase_that_moves_it() -> None:
    lines = list(plan_lines(read_plan(BUILT_IN)))
    table = lines.index(f"  table        {'vault_sync_status':<30} from vault_sync_status or sync_status")
    assert "at least 8 columns, a key, 1 index, 4 enum labels, 2 policies" in lines[table + 1]
    assert lines[table + 1].endswith("where the source has none: asked about")


def test_a_plan_is_frozen() -> None:
    plan = read_plan(BUILT_IN)
    with pytest.raises(AttributeError):
        plan.title = "other"  # type: ignore[misc]


MISTAKES = {
    "an unknown key": (r'^title = "Tekup consolidation"', 'title = "x"\ncolour = "red"', "unknown field `colour`"),
    "an unknown key of an app": (r"^port = 3002", "prot = 3002", "at apps[...]: Object contains unknown field `prot`"),
    "a wrong type": (r"^port = 3002", 'port = "3002"', "Expected `int`, got `str`"),
    "a port out of range": (r"^port = 3002", "port = 70000", "apps.vault.port: found 70000"),
    "two sources": (r'^role = "target"', 'role = "source"', "2 projects with the role source"),
    "an unknown role": (r'^role = "target"', 'role = "both"', "projects.renos.role: found 'both'"),
    "an unknown env value": (
        r'SUPABASE_URL = "url"',
        'SUPABASE_URL = "address"',
        "found 'address', expected one of url",
    ),
    "a move of no app": (r'^app = "vault"\nsources', 'app = "valut"\nsources', "moves[0].app: found 'valut'"),
    "a key that is no column": (
        r'^primary_key = \["id"\]',
        'primary_key = ["ident"]',
        "moves[0].floor.primary_key: found 'ident', expected a column of moves[0].floor.columns",
    ),
    "a foreign key of unequal length": (
        r'^primary_key = \["id"\]',
        'foreign_keys = [{ columns = ["sha"], references = "other", keys = [] }]',
        "moves[0].floor.foreign_keys[0].keys: found [], expected as many as",
    ),
    "an unknown action": (
        r'^primary_key = \["id"\]',
        'foreign_keys = [{ columns = ["sha"], references = "other", keys = ["id"], on_delete = "explode" }]',
        "moves[0].floor.foreign_keys[0].on_delete: found 'explode', expected one of cascade",
    ),
    "an absent table without columns": (
        r"^\[moves.floor\]\ncolumns = \[\n(?:    .*\n)*\]\nprimary_key = .*",
        "may_be_absent = true\n[moves.floor]",
        "moves[0].floor.columns: found [], expected the columns to make it from",
    ),
    "an unknown kind": (r'^kind = "adopt"', 'kind = "adapt"', "phases[2].kind: found 'adapt'"),
    "a phase in no sitting": (r'^phases = \["cleanup"\]', "phases = []", "every phase once, in order"),
    "a password in a URL": (
        r"postgresql://postgres@",
        "postgresql://postgres:hunter2@",
        "without one; it is asked for",
    ),
    "not TOML": (r'^id = "tekup"', "id = tekup", "line 4"),
    "an id that is no id": (r'^id = "tekup"', 'id = "../up"', "id: found '../up'"),
    "a path out of the repository": (r'^path = "\.env"', 'path = "../.env"', "found '../.env'"),
}


@pytest.mark.parametrize(("pattern", "replacement", "expected"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_names_the_file_the_place_and_what_was_expected(
    tmp_path: Path, pattern: str, replacement: str, expected: str
) -> None:
    text, count = re.subn(pattern, replacement, BUILT_IN.read_text(encoding="utf-8"), count=1, flags=re.MULTILINE)
    assert count == 1
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PlanError) as raised:
        read_plan(path)
    assert expected in raised.value.happened
    assert str(path) in raised.value.happened
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b""], ids=["missing", "not UTF-8", "empty"])
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PlanError, match="cannot be used"):
        read_plan(path)


def test_a_criterion_about_no_step_names_its_place(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    text = BUILT_IN.read_text(encoding="utf-8")
    path.write_text(text.replace('"billy.encryption"', '"billy.encrypted"'), encoding="utf-8")
    with pytest.raises(PlanError) as raised:
        steps_of(read_plan(path))
    assert "at criteria[3].steps: found 'billy.encrypted'" in raised.value.happened


def test_nothing_outside_the_plans_knows_the_built_in_names() -> None:
    root = BUILT_IN.parent.parent
    names = re.compile(r"tekup[-_ ]?vault|billy|rendetalje|vault_", re.IGNORECASE)
    code = [p for folder in (root, root.parent / "screens") for p in folder.rglob("*.py") if "plans" not in p.parts]
    assert code
    assert [str(p) for p in code if names.search(p.read_text(encoding="utf-8"))] == []
