"""Committing what this run wrote: tracked text that names the new project now, and nothing else."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tekup_migrate.credentials.seal import Seal
from tekup_migrate.parts import REWRITE
from tekup_migrate.phases.publishing import Commit
from tekup_migrate.questions import Answer, Reply
from tekup_migrate.rollback import Rollback
from tekup_migrate.runner import Runner
from tekup_migrate.steps import Remark
from tekup_migrate.walk import Ending, Outcome
from tests.phases.env_world import EnvWorld

TEXTS = {
    "compose.yml": "services:\n  api:\n    environment: [HOST=db.{}.supabase.co]\n",
    ".github/workflows/ci.yml": "env:\r\n  HOST: db.{}.supabase.co\r\n",
    "docs/øl [1].md": "Databasen er {}.\n",
}
CHOSEN = {"compose.yml#3": REWRITE, ".github/workflows/ci.yml#2": REWRITE, "docs/øl [1].md#1": REWRITE}


@pytest.fixture(params=["", "apps/blå bær"], ids=["its own repository", "a folder of one"])
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[EnvWorld]:
    """A repository with a tracked env file, three texts that name the old project, and one that does not."""
    made = EnvWorld(tmp_path, below=request.param)
    for key, value in (("user.name", "Me"), ("user.email", "me@example.com"), ("core.autocrlf", "false")):
        made.git("config", key, value)
    made.git("checkout", "-q", "-b", "one")
    for name, text in TEXTS.items():
        made.write(name, text.format(made.old))
    made.write("README.md", "# App\n")
    made.write("other.txt", "mine\n")
    made.write(".env", made.env())
    made.git("commit", "-q", "-m", "before")
    yield made
    made.journal.close()


def git(world: EnvWorld, *arguments: str) -> str:
    """Run git in the repository and return what it says."""
    argv = ["git", "-c", "core.quotePath=false", "-c", "status.relativePaths=true", *arguments]
    return subprocess.run(argv, cwd=world.root, check=True, capture_output=True, encoding="utf-8").stdout


def walker(world: EnvWorld) -> tuple[Runner, Commit]:
    """Return a new sitting's runner over the rewrite and the commit."""
    commit = Commit(world.plan, world.plan.phases[0], "app")
    return Runner(steps=[world.step, commit], context=world.context(), journal=world.journal), commit


async def go(world: EnvWorld) -> Outcome:
    """Rewrite what was chosen, then commit."""
    world.operator.replies = [Reply(Answer.PROCEED, choices=CHOSEN)]
    return await walker(world)[0].run()


async def test_rewritten_texts_are_committed_and_neither_env_files_nor_other_work_goes_along(world: EnvWorld) -> None:
    world.write("other.txt", "mine, later\n", tracked=False)
    assert (await go(world)).ending is Ending.FINISHED
    assert set(git(world, "show", "--relative", "--name-only", "--format=").splitlines()) == set(TEXTS)
    for name, text in TEXTS.items():
        committed = subprocess.run(["git", "show", f"HEAD:./{name}"], cwd=world.root, check=True, capture_output=True)
        assert committed.stdout == text.format(world.new).encode()
    assert git(world, "status", "--short").splitlines() == [" M .env", " M other.txt"]
    runner, _ = walker(world)
    assert (await Rollback.of(runner).run()).ending is Ending.FINISHED
    assert git(world, "log", "--format=%s").splitlines() == ["before"]
    assert git(world, "status", "--short").splitlines() == [" M other.txt"]


async def test_work_of_the_operators_own_in_a_rewritten_text_is_named_before_it_is_committed(world: EnvWorld) -> None:
    world.write("compose.yml", TEXTS["compose.yml"].format(world.old) + "# mine\n", tracked=False)
    assert (await go(world)).ending is Ending.FINISHED
    (preview,) = (preview for step, preview in world.operator.previews if "commit" in step)
    warnings = [action.text for action in preview.actions if isinstance(action, Remark) and action.warning]
    assert warnings == ["compose.yml had uncommitted changes of yours before; they are committed with it."]
    assert git(world, "show", "HEAD:./compose.yml").endswith("# mine\n")


async def test_with_the_seals_key_lost_a_rewritten_text_is_still_known_as_this_runs_own(world: EnvWorld) -> None:
    world.write("compose.yml", TEXTS["compose.yml"].format(world.old) + "# mine\n", tracked=False)
    world.secrets.lasting = False
    world.operator.replies = [Reply(Answer.PROCEED, choices=CHOSEN)]
    runner, commit = walker(world)
    await Runner(steps=[world.step], context=runner.context, journal=world.journal).run()
    # The key was held in memory only; this is the next sitting.
    world.secrets._seal = Seal.new_key()
    preview = await commit.preview(world.context())
    assert "compose.yml had uncommitted changes of yours" in str(preview.actions)
    assert (await walker(world)[0].run()).ending is Ending.FINISHED
    assert set(git(world, "show", "--relative", "--name-only", "--format=").splitlines()) == set(TEXTS)
