"""Rewriting an app's env files so that it uses the target project; shared by ``move`` and ``adopt``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tekup_migrate.phases.access import url_of
from tekup_migrate.phases.carrying_back import carry_back, since_line, written_since
from tekup_migrate.phases.keys import key_remarks
from tekup_migrate.phases.ownership import forget_cut_over, is_cut_over, note_cut_over
from tekup_migrate.phases.taken_back import reverted
from tekup_migrate.plan import App, EnvFile, Phase, Plan
from tekup_migrate.steps import Action, Context, Danger, Evidence, FileChange, Preview, Remark, Step, Undo, Verdict

if TYPE_CHECKING:
    from tekup_migrate.credentials.seal import Seal
    from tekup_migrate.credentials.secret import Secret
    from tekup_migrate.envfiles.former import FormerFile
    from tekup_migrate.envfiles.rewrite import EnvRewrite

ANON_KEY, SERVICE_KEY = "anon key", "service key"


class RewriteEnv(Step):
    """Points an app's env files at the target project."""

    danger = Danger.CAREFUL
    undo = Undo.UNDOABLE
    undo_note = "The files' former bytes, kept sealed in this run, are put back."
    why = (
        "This is the cut-over: from its next start the app reads and writes the target. Only the values of the keys"
        " that the plan names are replaced; every other byte of the files stays."
    )

    def __init__(self, plan: Plan, phase: Phase) -> None:
        self.app = phase.app
        title = f"Point the env files of {plan.apps[phase.app].title} at the target"
        super().__init__(id=f"{phase.id}.env", phase=phase.id, title=title)

    async def preview(self, context: Context) -> Preview:
        """Show every changed line, secrets masked."""
        from tekup_migrate.envfiles.diff import file_change

        rewrites = await self._rewrites(context)
        changed = [rewrite for rewrite in rewrites if rewrite.changed]
        app, target = context.plan.apps[self.app], context.plan.target
        warnings = tuple(
            Remark(f"{rewrite.path}: {warning}", warning=True) for rewrite in rewrites for warning in rewrite.warnings
        )
        for rewrite in rewrites:
            warnings += key_remarks(rewrite.values, target.ref, str(rewrite.path))
        warnings += tuple(Remark(line, warning=True) for line in self._missing(context))
        nothing = () if changed else (Remark("Every file points at the target already: nothing is written."),)
        return Preview(
            title=f"Rewrite {_files(len(changed))} in {app.title}",
            target=f"{app.directory} → {target.title} · {target.ref}",
            verb=f"Rewrite {_files(len(changed))}",
            undo=self._undo_note(context),
            actions=(
                *warnings,
                *nothing,
                *(file_change(rewrite, redactor=context.redactor) for rewrite in changed),
            ),
        )

    def _undo_note(self, context: Context) -> str:
        if context.secrets.lasting:
            return self.undo_note
        return f"{self.undo_note} In this sitting only: no keyring or sealed file keeps the key to them."

    async def apply(self, context: Context) -> None:
        """Keep the former bytes sealed, then write."""
        from tekup_migrate.envfiles.former import FormerFile
        from tekup_migrate.envfiles.rewrite import write

        seal = await context.secrets.seal()
        if context.plan.moves_of(self.app):
            # From here on the app may write to the target: its rows are no longer only our copy.
            note_cut_over(context, self.app)
        for file, rewrite in zip(self._files(context), await self._rewrites(context), strict=True):
            if not rewrite.changed:
                continue
            path = self._path(context, file)
            former = self._first(context, file, FormerFile.of(path, rewrite), seal)
            context.memory.remember(self._key(file), former.sealed(seal))
            write(rewrite)
            context.ran("file", f"rewrote {', '.join(rewrite.changed)}", str(rewrite.path))

    async def verify(self, context: Context) -> Evidence:
        """Read the files as the app will, and compare with what is wanted."""
        facts, wrong = [], 0
        for file, rewrite in zip(self._files(context), await self._rewrites(context), strict=True):
            keys = ", ".join(file.rewrite)
            if rewrite.changed:
                wrong += 1
                facts.append(f"{file.path}: {', '.join(rewrite.changed)} do not hold the target's values")
            else:
                facts.append(f"{file.path}: {keys} hold the target's values")
        count = len(facts)
        return Evidence(
            verdict=Verdict.DIFFERS if wrong else Verdict.PASSED,
            summary=f"{_files(count)} point at {context.plan.target.ref}"
            if not wrong
            else f"{wrong} of {count} do not",
            facts=(*facts, *self._missing(context)),
        )

    def _first(self, context: Context, file: EnvFile, former: FormerFile, seal: Seal) -> FormerFile:
        """Return the file as it was before this run's first rewrite of it, where this is a second one."""
        from dataclasses import replace

        from tekup_migrate.envfiles.former import FormerFile as Former

        sealed = context.memory.recall(self._key(file))
        kept = Former.unsealed(sealed, seal) if sealed is not None else None
        if kept is None or former.content not in (kept.written, kept.content):
            return former
        return replace(kept, written=former.written)

    async def preview_revert(self, context: Context) -> Preview:
        """Show every line that changes back, secrets masked, and the rows that the app has written meanwhile."""
        from tekup_migrate.envfiles.diff import diff_lines
        from tekup_migrate.envfiles.former import refuse_restore

        changes: list[Action] = []
        for former in await self._formers(context):
            now = refuse_restore(former)
            if now != former.content:
                lines = diff_lines(now, former.content, redactor=context.redactor)
                changes.append(FileChange(str(former.path), lines))
        app = context.plan.apps[self.app]
        return Preview(
            title=f"Put back {_files(len(changes))} of {app.title}",
            target=str(app.directory),
            verb=f"Put back {_files(len(changes))}",
            undo="Run the step again: the files are rewritten anew.",
            actions=(
                *[Remark(line, True) for line in await self._written_since(context)],
                *(changes or [Remark("Every file is as it was before: nothing is written.")]),
            ),
        )

    async def _written_since(self, context: Context) -> tuple[str, ...]:
        if not is_cut_over(context, self.app):
            return ()
        outcomes = await written_since(context, context.plan.moves_of(self.app))
        return tuple(line for outcome in outcomes if (line := since_line(outcome)))

    async def revert(self, context: Context) -> None:
        """Settle the rows that the target received since, then put the former bytes back."""
        from tekup_migrate.envfiles.former import refuse_restore, restore

        formers = await self._formers(context)
        for former in formers:
            refuse_restore(former)
        if is_cut_over(context, self.app):
            await carry_back(context, context.plan.moves_of(self.app))
        for former in formers:
            if restore(former):
                context.ran("file", "put back as it was", str(former.path))

    async def verify_reverted(self, context: Context) -> Evidence:
        """Compare every file with its former bytes."""
        from tekup_migrate.envfiles.former import refuse_restore

        formers = await self._formers(context)
        wrong = tuple(str(former.path) for former in formers if refuse_restore(former) != former.content)
        good = f"{_files(len(formers))} as before, byte for byte" if formers else "no file of it was rewritten"
        return reverted(not wrong, good, f"not as before: {', '.join(wrong)}")

    def forget(self, context: Context) -> None:
        """Forget the former bytes and that the app was pointed at the target."""
        for file in self._files(context):
            context.memory.forget(self._key(file))
        forget_cut_over(context, self.app)

    async def _formers(self, context: Context) -> tuple[FormerFile, ...]:
        from tekup_migrate.envfiles.former import FormerFile as Former

        seal = await context.secrets.seal()
        kept = (context.memory.recall(self._key(file)) for file in self._files(context))
        return tuple(Former.unsealed(sealed, seal) for sealed in kept if sealed is not None)

    def _key(self, file: EnvFile) -> str:
        return f"{self.id}:{file.path}"

    def _files(self, context: Context) -> tuple[EnvFile, ...]:
        return tuple(file for file in context.plan.apps[self.app].env_files if file.rewrite)

    def _path(self, context: Context, file: EnvFile) -> Path:
        return context.plan.apps[self.app].directory / file.path

    async def _rewrites(self, context: Context) -> tuple[EnvRewrite, ...]:
        return tuple([await self._rewrite(context, file) for file in self._files(context)])

    async def _rewrite(self, context: Context, file: EnvFile) -> EnvRewrite:
        from tekup_migrate.envfiles.rewrite import plan_rewrite, read_bytes, read_values, real_path

        path = self._path(context, file)
        now = read_values(read_bytes(real_path(path)))
        present = {key: what for key, what in file.rewrite.items() if key in now}
        return plan_rewrite(
            path, {key: await wanted_value(context, what, now[key] or "") for key, what in present.items()}
        )

    def _missing(self, context: Context) -> tuple[str, ...]:
        """Return what the plan names and a file does not have: nothing is added to a file, so it is said."""
        lines = []
        for file in self._files(context):
            now = env_values(context.plan.apps[self.app], file.path)
            absent = [key for key in file.rewrite if key not in now]
            if absent:
                lines.append(f"{file.path} has no {', '.join(absent)}: nothing is added to it")
        return tuple(lines)


async def wanted_value(context: Context, what: str, now: str) -> Secret | str:
    """Return what an env key shall hold; ``what`` is the plan's word for it, ``now`` its present value."""
    from tekup_migrate.envfiles.connection_url import rewritten_url

    project_id = context.plan.project_id("target")
    project = context.plan.target
    match what:
        case "url":
            return project.address
        case "ref":
            return project.ref
        case "anon_key":
            return await context.secrets.key(project_id, ANON_KEY)
        case "service_key":
            return await context.secrets.key(project_id, SERVICE_KEY)
        case "password":
            return await context.secrets.password(project_id)
    url = url_of(context, project_id)
    password = await context.secrets.password(project_id)
    former = now or str(url)
    # The app's own query string (schema, pool parameters) stays; the transaction pooler is fine for an app.
    return rewritten_url(
        former,
        user=url.user,
        password=password,
        host=url.host,
        port=url.port,
        database=url.database,
        project=project.ref,
    )


def env_values(app: App, path: str) -> dict[str, str | None]:
    """Return an env file's keys and values as the app reads them.

    Raises:
        MigrationError: the file cannot be read.
    """
    from tekup_migrate.envfiles.rewrite import read_bytes, read_values, real_path

    return read_values(read_bytes(real_path(app.directory / path)))


def _files(count: int) -> str:
    return f"{count} env file" if count == 1 else f"{count} env files"
