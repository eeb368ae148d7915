"""The sample world of any plan: databases, repositories, remotes, secrets."""

from __future__ import annotations

import base64
import subprocess
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest
from dotenv import dotenv_values

from tekup_migrate.errors import MigrationError
from tekup_migrate.plan import Plan
from tekup_migrate.rehearsal.directory import rehearsal_directory
from tekup_migrate.rehearsal.world import World, make_world
from tests.rehearsal.sample_plan import write_sample_plan


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


async def make_and_leave(plan: Plan, templates: Path) -> None:
    async with AsyncExitStack() as stack:
        directory = await stack.enter_async_context(rehearsal_directory())
        await make_world(plan, templates, directory, stack)


async def test_rows_sizes_the_source(library: World) -> None:
    connection = await library.projects["old"].database.connect()
    try:
        assert await connection.fetchval("SELECT count(*) FROM notes WHERE body LIKE 'note %'") == 50
        assert await connection.fetchval("SELECT current_user::text") == "postgres"
    finally:
        await connection.close()


def test_the_plan_is_placed_into_the_world_and_nothing_else_of_it_changes(library: World) -> None:
    plan = library.plan
    assert plan.source.url.startswith("postgresql://postgres@127.0.0.1:")
    assert plan.apps["notes"].directory == library.directory / "repositories" / "notes-app"
    assert plan.apps["notes"].port == library.apps["notes"].port
    assert plan.source.ref == "aaaaaaaaaaaaaaaaaaaa"
    assert plan.source.address == "https://aaaaaaaaaaaaaaaaaaaa.supabase.co"


def test_the_env_file_keeps_its_line_ends_and_reads_back_right(library: World) -> None:
    path = library.apps["notes"].repository / ".env"
    raw = path.read_bytes()
    assert raw.startswith(b"# kept\r\n")
    assert raw.count(b"\n") == raw.count(b"\r\n") == 7
    values = dotenv_values(path, interpolate=False)
    assert values["DATABASE_URL"] == library.projects["old"].database.url.reveal()
    assert values["SUPABASE_URL"] == "https://aaaaaaaaaaaaaaaaaaaa.supabase.co"
    assert "%40" in (values["DATABASE_URL"] or "")


def test_keys_are_tokens_of_their_project_and_role(library: World) -> None:
    keys = library.projects["old"].keys
    for key, role in ((keys.anon, "anon"), (keys.service, "service_role")):
        payload = key.reveal().split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        assert {"iss", "ref", "role", "iat", "exp"} == set(claims)
        assert (claims["iss"], claims["ref"], claims["role"]) == ("supabase", "a" * 20, role)
        assert claims["iat"] < claims["exp"]


def test_a_repository_has_a_pushed_commit_and_uncommitted_work(library: World) -> None:
    app = library.apps["notes"]
    assert git(app.repository, "status", "--porcelain").splitlines() == [" M README.md", "?? draft.txt"]
    tracked = git(app.repository, "ls-files").split()
    assert ".env" in tracked
    assert "ignored.txt" not in tracked
    assert (app.repository / "ignored.txt").exists()
    head = git(app.repository, "rev-parse", "HEAD")
    assert git(app.remote, "rev-parse", "main") == head
    assert git(app.repository, "rev-parse", "@{upstream}") == head
    assert git(app.repository, "config", "--local", "commit.gpgSign").strip() == "false"


async def test_an_unknown_placeholder_is_named_with_file_and_line(tmp_path: Path) -> None:
    plan, templates = write_sample_plan(tmp_path)
    (templates / "target.sql").write_text("SELECT 1;\nSELECT '${target.nonsense}';\n", encoding="utf-8")
    with pytest.raises(MigrationError, match=r"target\.sql, line 2: \$\{target\.nonsense\}"):
        await make_and_leave(plan, templates)


async def test_wrong_sql_in_a_template_is_reported_with_its_file(tmp_path: Path) -> None:
    plan, templates = write_sample_plan(tmp_path)
    (templates / "source.sql").write_text("CREATE TABLE auth.mine (id int);", encoding="utf-8")
    with pytest.raises(MigrationError, match=r"source\.sql: permission denied for schema auth"):
        await make_and_leave(plan, templates)


async def test_a_plan_without_a_sample_world_says_so(tmp_path: Path) -> None:
    plan, templates = write_sample_plan(tmp_path)
    with pytest.raises(MigrationError, match="no sample world"):
        await make_and_leave(plan, templates / "elsewhere")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("world.toml", "[writers]\nnobody = 'app.toml'\n", "names no app of the plan: nobody"),
        ("world.toml", "[writers\n", r"world\.toml: "),
        ("world.toml", "colour = 'red'\n", "unknown field `colour`"),
        ("source.sql", None, r"lacks source\.sql"),
    ],
)
async def test_an_unfit_sample_world_is_refused_before_anything_starts(
    tmp_path: Path, name: str, content: str | None, expected: str
) -> None:
    plan, templates = write_sample_plan(tmp_path)
    (templates / name).unlink()
    if content is not None:
        (templates / name).write_text(content, encoding="utf-8")
    with pytest.raises(MigrationError, match=expected):
        await make_and_leave(plan, templates)


def test_no_secret_shows_in_what_the_world_prints_as(library: World) -> None:
    project = library.projects["old"]
    shown = repr(library)
    for secret in (project.password, project.keys.anon, project.keys.service, project.server.password):
        assert secret.reveal() not in shown
