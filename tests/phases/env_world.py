"""One app's repository that names the old project all over, and the step that points it at the new one."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tekup_migrate.credentials.seal import Seal
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.journal import JOURNAL, Journal
from tekup_migrate.phases.env import RewriteEnv
from tekup_migrate.plan import Plan
from tekup_migrate.questions import Reply
from tekup_migrate.runner import Runner
from tekup_migrate.steps import Context, FileChange, Preview
from tekup_migrate.walk import Outcome
from tests.keymaking import made_jwt, made_ref, made_secret_key
from tests.scripted import NoSecrets, ScriptedOperator, make_context

KEYS = {"SUPABASE_URL": "url", "SERVICE_KEY": "service_key", "DATABASE_URL": "database_url"}


class TargetSecrets(NoSecrets):
    """What is known of the target, and a seal that lasts."""

    lasting = True

    def __init__(self, ref: str) -> None:
        self.held = {
            "password": Secret("n@w/pass word", kind="password", project=ref),
            "anon key": Secret(made_jwt(ref=ref, role="anon"), kind="anon key", project=ref),
            "service key": Secret(made_jwt(ref=ref, role="service_role"), kind="service key", project=ref),
        }
        self._seal = Seal.new_key()

    async def password(self, project_id: str) -> Secret:
        return self.held["password"]

    async def key(self, project_id: str, kind: str) -> Secret:
        return self.held[kind]

    async def seal(self) -> Seal:
        return Seal(self._seal)


@dataclass
class EnvWorld:
    """The repository, the plan, and a run over one env step; the app is the repository, or the folder ``below`` it."""

    folder: Path
    below: str = ""
    rewrite: Mapping[str, str] = field(default_factory=lambda: dict(KEYS))
    old: str = field(default_factory=made_ref)
    new: str = field(default_factory=made_ref)

    def __post_init__(self) -> None:
        self.top = self.folder / "blåbær [app]"
        self.root = self.top / self.below
        self.root.mkdir(parents=True)
        subprocess.run(["git", "init", "-q"], cwd=self.top, check=True, capture_output=True)
        self.secrets = TargetSecrets(self.new)
        self.old_key = made_secret_key()
        self.operator = ScriptedOperator()
        self.journal = Journal.open(self.folder / "state" / JOURNAL)
        self.step = RewriteEnv(self.plan, self.plan.phases[0])

    @property
    def plan(self) -> Plan:
        """One app, one env file."""
        projects = {
            name: {"title": name, "ref": ref, "region": "eu-west-3", "role": role, "url": url(ref)}
            for name, role, ref in (("before", "source", self.old), ("after", "target", self.new))
        }
        file = {"path": ".env", "rewrite": dict(self.rewrite)}
        return msgspec.convert(
            {
                "id": "one",
                "title": "One app",
                "branch": "one",
                "projects": projects,
                "apps": {"app": {"title": "App", "path": str(self.root), "env_files": [file]}},
                "phases": [{"id": "app", "kind": "adopt", "title": "App", "hours": [1, 1], "app": "app"}],
                "sittings": [{"title": "S", "hours": 1, "phases": ["app"]}],
            },
            Plan,
        )

    @property
    def old_url(self) -> str:
        """The old database's URL as an app has it."""
        return f"postgresql://postgres:old-password@db.{self.old}.supabase.co:5432/postgres"

    def env(self, more: str = "", *, end: str = "\n") -> bytes:
        """Return the bytes of an env file that the plan names, with more lines in it."""
        lines = [
            "# notes",
            f"SUPABASE_URL=https://{self.old}.supabase.co",
            f'export SERVICE_KEY="{self.old_key}" # keep',
            f"DATABASE_URL='{self.old_url}?schema=app&pgbouncer=true&connection_limit=1&sslmode=require'",
            "ENCRYPTION_KEY=k$x\\n'",
            *more.splitlines(),
        ]
        return (end.join(lines) + end).encode()

    def write(self, name: str, content: bytes | str, *, tracked: bool = True) -> Path:
        """Put a file into the repository; ``tracked`` adds it to the index."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        if tracked:
            self.git("add", "-f", "--", name)
        return path

    def git(self, *arguments: str) -> None:
        """Run git in the repository."""
        subprocess.run(["git", *arguments], cwd=self.root, check=True, capture_output=True)

    def context(self) -> Context:
        """Return the context of the run, as a new sitting would make it."""
        return make_context(self.folder, self.journal, operator=self.operator, plan=self.plan, secrets=self.secrets)

    async def run(self, reply: Reply | None = None) -> Outcome:
        """Carry the step out, answered with ``reply``."""
        self.operator.replies = [reply] if reply else []
        return await Runner(steps=[self.step], context=self.context(), journal=self.journal).run()

    async def preview(self) -> Preview:
        """Return the step's preview, as a new sitting would see it."""
        return await RewriteEnv(self.plan, self.plan.phases[0]).preview(self.context())

    @property
    def facts(self) -> str:
        """The evidence's facts, a line each."""
        entry = self.journal.latest(self.context().run)["app.env"]
        assert entry.evidence is not None
        return "\n".join((entry.evidence.verdict.value, entry.evidence.summary, *entry.evidence.facts))


def url(ref: str) -> str:
    """Return a project's URL, without a password."""
    return f"postgresql://postgres@db.{ref}.supabase.co:5432/postgres"


def choices(preview: Preview) -> dict[str, str]:
    """Return what is chosen for each part of a preview."""
    return {part.id: part.choice for part in preview.parts}


def shown(preview: Preview) -> str:
    """Return every line of every file change of a preview."""
    changes = [action for action in preview.actions if isinstance(action, FileChange)]
    return "\n".join(f"{line.kind} {line.text}" for change in changes for line in change.lines)
