"""Phase kind ``adopt``: settle an app that lives on the target already."""

from __future__ import annotations

import fnmatch
import hashlib
import hmac
import secrets
from pathlib import Path

from tekup_migrate.phases.access import connected, label_of
from tekup_migrate.phases.answering import Answers, run_check
from tekup_migrate.phases.env import RewriteEnv, env_values
from tekup_migrate.phases.observation import Observation
from tekup_migrate.phases.prisma import Generate, Push
from tekup_migrate.plan import App, Phase, Plan
from tekup_migrate.steps import Context, Evidence, Figure, Step, Verdict


def adopt_steps(plan: Plan, phase: Phase) -> tuple[Step, ...]:
    """Return the steps of an adopt phase, as the app's traits ask for them."""
    app = plan.apps[phase.app]
    steps: list[Step] = []
    if app.encryption:
        steps.append(NoteKeys(plan, phase))
    steps.append(RewriteEnv(plan, phase))
    if app.tables:
        steps.append(Tables(plan, phase))
    if app.prisma:
        steps += [Generate(plan, phase), Push(plan, phase)]
    if app.commands.checks:
        steps.append(Checks(plan, phase))
    steps.append(Answers(plan, phase, phase.app, name="answers"))
    if app.encryption:
        steps.append(KeysKept(plan, phase))
    return tuple(steps)


class Tables(Observation):
    """Looks whether the app's tables are in the target, with rows."""

    why = "The app lives on the target already: its tables must be there before it is asked to use them."

    def __init__(self, plan: Plan, phase: Phase) -> None:
        title = f"Find the tables of {plan.apps[phase.app].title}"
        super().__init__(id=f"{phase.id}.tables", phase=phase.id, title=title)
        self.app = phase.app

    def looks_at(self, context: Context) -> tuple[str, ...]:
        """Name the tables."""
        return tuple(f"public.{name}" for name in context.plan.apps[self.app].tables)

    def target(self, context: Context) -> str:
        """Return the target's label."""
        return label_of(context, context.plan.project_id("target"))

    async def verify(self, context: Context) -> Evidence:
        """Compare the plan's names with the catalog."""
        from tekup_migrate.postgres.catalog import inventory

        async with connected(context, context.plan.project_id("target")) as connection:
            tables = await inventory(connection)
        wanted = context.plan.apps[self.app].tables
        missing = [name for name in wanted if not any(fnmatch.fnmatchcase(t.name, name) for t in tables)]
        found = [t for t in tables if any(fnmatch.fnmatchcase(t.name, name) for name in wanted)]
        rows = sum(table.rows for table in found)
        return Evidence(
            verdict=Verdict.DIFFERS if missing else Verdict.PASSED,
            summary=f"missing: {', '.join(missing)}" if missing else f"{len(found)} tables, {rows:,} rows",
            facts=tuple(f"{table.name}: {table.rows:,} rows" for table in found),
            figures=(Figure("tables", len(found)), Figure("rows", rows)),
        )


class Checks(Observation):
    """Runs the app's own checks against the target."""

    why = "The app's own tests know best what it needs from its database."

    def __init__(self, plan: Plan, phase: Phase) -> None:
        title = f"Run the checks of {plan.apps[phase.app].title}"
        super().__init__(id=f"{phase.id}.checks", phase=phase.id, title=title)
        self.app = phase.app

    def looks_at(self, context: Context) -> tuple[str, ...]:
        """Name the commands."""
        return tuple(" ".join(argv) for argv in context.plan.apps[self.app].commands.checks)

    def target(self, context: Context) -> str:
        """Return the app's directory."""
        return str(context.plan.apps[self.app].directory)

    async def verify(self, context: Context) -> Evidence:
        """Run them, one after the other."""
        app = context.plan.apps[self.app]
        facts = [await run_check(context, app, argv) for argv in app.commands.checks]
        return Evidence(
            verdict=Verdict.PASSED, summary=f"{len(facts)} of {len(facts)} commands ended well", facts=tuple(facts)
        )


class _Fingerprints:
    """Salted fingerprints of the env values that must never change; the values themselves are not kept."""

    def __init__(self, app_id: str, app: App) -> None:
        if app.encryption is None:
            raise ValueError(f"{app_id} has no encryption trait")
        self.app = app
        self.keys = app.encryption.keys
        self.file = app.encryption.file
        self.note = f"encryption:{app_id}"

    @property
    def path(self) -> Path:
        """The file that holds them."""
        return self.app.directory / self.file

    def take(self, salt: bytes) -> dict[str, bytes]:
        """Return each key's fingerprint now; a key that is not there has none."""
        values = env_values(self.app, self.file)
        return {
            key: hmac.new(salt, f"{key}={values[key]}".encode("utf-8", "surrogateescape"), hashlib.sha256).digest()
            for key in self.keys
            if values.get(key) is not None
        }


class NoteKeys(Observation):
    """Notes fingerprints of the encryption keys before anything about the app is changed."""

    why = "With another key the encrypted columns are lost for good. The keys are compared again at the phase's end."

    def __init__(self, plan: Plan, phase: Phase) -> None:
        title = f"Note the encryption keys of {plan.apps[phase.app].title}"
        super().__init__(id=f"{phase.id}.keys", phase=phase.id, title=title)
        self.app = phase.app

    def looks_at(self, context: Context) -> tuple[str, ...]:
        """Name the keys."""
        kept = _Fingerprints(self.app, context.plan.apps[self.app])
        return tuple(f"{kept.file}: a salted fingerprint of {key}; the value is not kept" for key in kept.keys)

    def target(self, context: Context) -> str:
        """Return the env file."""
        return str(_Fingerprints(self.app, context.plan.apps[self.app]).path)

    async def apply(self, context: Context) -> None:
        """Take the fingerprints, once: those of the first time are what counts."""
        kept = _Fingerprints(self.app, context.plan.apps[self.app])
        if context.memory.recall(f"{kept.note}:salt") is None:
            salt = secrets.token_bytes(32)
            for key, fingerprint in kept.take(salt).items():
                context.memory.remember(f"{kept.note}:{key}", fingerprint)
            context.memory.remember(f"{kept.note}:salt", salt)

    async def verify(self, context: Context) -> Evidence:
        """Say which keys there are."""
        return compare_keys(context, self.app)


class KeysKept(Observation):
    """Compares the encryption keys with their fingerprints from before."""

    why = NoteKeys.why

    def __init__(self, plan: Plan, phase: Phase) -> None:
        title = f"Prove that the encryption keys of {plan.apps[phase.app].title} are kept"
        super().__init__(id=f"{phase.id}.encryption", phase=phase.id, title=title)
        self.app = phase.app

    def looks_at(self, context: Context) -> tuple[str, ...]:
        """Name the keys."""
        return tuple(f"{key} against its fingerprint" for key in _Fingerprints(self.app, context.plan.apps[self.app]).keys)

    def target(self, context: Context) -> str:
        """Return the env file."""
        return str(_Fingerprints(self.app, context.plan.apps[self.app]).path)

    async def verify(self, context: Context) -> Evidence:
        """Compare."""
        return compare_keys(context, self.app)


def compare_keys(context: Context, app_id: str) -> Evidence:
    """Compare an app's encryption keys with the fingerprints that this run took of them."""
    kept = _Fingerprints(app_id, context.plan.apps[app_id])
    salt = context.memory.recall(f"{kept.note}:salt")
    if salt is None:
        return Evidence(verdict=Verdict.UNVERIFIED, summary="no fingerprints were taken before")
    now = kept.take(salt)
    lines, good = [], True
    for key in kept.keys:
        same = key in now and now[key] == context.memory.recall(f"{kept.note}:{key}")
        good = good and same
        lines.append(f"{key}: " + ("unchanged" if same else "changed" if key in now else f"not in {kept.file}"))
    return Evidence(
        verdict=Verdict.PASSED if good else Verdict.DIFFERS,
        summary=f"{len(kept.keys)} keys unchanged" if good else "; ".join(lines),
        facts=tuple(lines),
    )


