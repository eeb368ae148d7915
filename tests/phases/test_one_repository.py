"""Two apps in one repository: one branch, a commit for each, one push, and all of it taken back."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from tekup_migrate.journal import JOURNAL, Journal
from tekup_migrate.phases.publishing import Commit, Push
from tekup_migrate.phases.readme import Readme
from tekup_migrate.phases.setup import Branch
from tekup_migrate.plan import Plan
from tekup_migrate.rollback import Rollback
from tekup_migrate.runner import Runner
from tekup_migrate.walk import Ending
from tests.keymaking import made_ref
from tests.scripted import NoSecrets, ScriptedOperator, make_context

APPS = ("shop", "till")


@dataclass
class OneRepository:
    """A repository of two apps with uncommitted work, its remote, and a run over the steps of git."""

    folder: Path
    plan: Plan
    journal: Journal

    @property
    def root(self) -> Path:
        return self.folder / "both apps"

    def git(self, *arguments: str, at: Path | None = None) -> str:
        argv = ["git", "-c", "core.quotePath=false", *arguments]
        return subprocess.run(argv, cwd=at or self.root, check=True, capture_output=True, encoding="utf-8").stdout

    @property
    def state(self) -> tuple[str, ...]:
        """Where HEAD stands, what is uncommitted, and every ref here and on the remote."""
        refs = ("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads")
        return (
            self.git("symbolic-ref", "HEAD"),
            self.git("status", "--short"),
            self.git(*refs),
            self.git(*refs, at=self.folder / "remote.git"),
            *((self.root / app / "README.md").read_text() for app in APPS),
        )

    def runner(self) -> Runner:
        """Return the runner of a new sitting."""
        plan, phase = self.plan, self.plan.phases[0]
        kinds = (Branch, Readme, Commit, Push)
        context = make_context(self.folder, self.journal, operator=ScriptedOperator(), plan=plan, secrets=NoSecrets())
        steps = [kind(plan, phase, app) for kind in kinds for app in APPS]
        return Runner(steps=steps, context=context, journal=self.journal)


@pytest.fixture
def both(tmp_path: Path) -> Iterator[OneRepository]:
    projects = {
        name: {"title": name, "ref": made_ref(), "region": "eu-west-3", "role": role, "url": "postgresql://p@h/d"}
        for name, role in (("before", "source"), ("after", "target"))
    }
    plan = msgspec.convert(
        {
            "id": "both",
            "title": "Both",
            "branch": "moved",
            "projects": projects,
            "apps": {app: {"title": app.title(), "path": str(tmp_path / "both apps" / app)} for app in APPS},
            "phases": [{"id": "all", "kind": "cleanup", "title": "All", "hours": [1, 1]}],
            "sittings": [{"title": "S", "hours": 1, "phases": ["all"]}],
        },
        Plan,
    )
    made = OneRepository(tmp_path, plan, Journal.open(tmp_path / "state" / JOURNAL))
    for app in APPS:
        (made.root / app).mkdir(parents=True)
        (made.root / app / "README.md").write_text(f"# {app}\n")
    made.git("init", "-q", "-b", "main")
    for key, value in (("user.name", "Me"), ("user.email", "me@example.com"), ("core.autocrlf", "false")):
        made.git("config", key, value)
    made.git("add", ".")
    made.git("commit", "-q", "-m", "before")
    made.git("clone", "-q", "--bare", str(made.root), "remote.git", at=tmp_path)
    made.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    (made.root / "till" / "notes.txt").write_text("mine\n")
    yield made
    made.journal.close()


async def test_each_app_has_its_commit_and_all_is_taken_back(both: OneRepository) -> None:
    before = both.state
    assert (await both.runner().run()).ending is Ending.FINISHED
    changed = both.git("log", "--format=", "--name-only", "main..moved").splitlines()
    assert changed == ["till/README.md", "shop/README.md"]
    assert both.git("rev-parse", "moved") == both.git("rev-parse", "moved", at=both.folder / "remote.git")
    outcome = await Rollback.of(both.runner()).run()
    assert (outcome.ending, both.state) == (Ending.FINISHED, before)


async def test_where_the_remote_had_the_branch_both_commits_are_reverted_there(both: OneRepository) -> None:
    both.git("push", "-q", "origin", "main:moved")
    before = both.state
    assert (await both.runner().run()).ending is Ending.FINISHED
    outcome = await Rollback.of(both.runner()).run()
    assert outcome.ending is Ending.FINISHED, outcome
    assert both.git("diff", "main", "moved", at=both.folder / "remote.git") == ""
    assert both.state[1] == before[1]
