"""The README: the app's repository says where its data now lives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tekup_migrate.phases.resolutions import planned_moves
from tekup_migrate.phases.taken_back import edited_since, reverted
from tekup_migrate.phases.text_diff import text_diff
from tekup_migrate.plan import Phase, Plan
from tekup_migrate.steps import Context, Danger, Evidence, FileChange, Preview, Remark, Step, Undo, Verdict


class Readme(Step):
    """Puts a section into an app's README that says where its data lives."""

    danger = Danger.CAREFUL
    undo = Undo.UNDOABLE
    undo_note = "The README's former bytes are put back."
    why = "Whoever opens the repository next must not look for the data in the old project."

    def __init__(self, plan: Plan, phase: Phase, app: str) -> None:
        title = f"Update the README of {plan.apps[app].title}"
        super().__init__(id=f"{phase.id}.readme.{app}", phase=phase.id, title=title)
        self.app = app

    async def preview(self, context: Context) -> Preview:
        """Show the diff."""
        path, before, after = self._change(context)
        return Preview(
            title=self.title,
            target=str(path),
            verb="Write the section",
            undo=self.undo_note,
            actions=(FileChange(str(path), text_diff(before, after)),),
        )

    async def apply(self, context: Context) -> None:
        """Keep the former bytes and write."""
        path, before, after = self._change(context)
        if before == after:
            return
        if context.memory.recall(self.id) is None:
            # A leading byte tells an empty file from one that was not there.
            context.memory.remember(self.id, b"+" + before if path.exists() else b"-")
        context.memory.remember(self._written, after)
        path.write_bytes(after)
        context.ran("file", "put the section in", str(path))

    async def verify(self, context: Context) -> Evidence:
        """Look for the section in the file."""
        path, before, after = self._change(context)
        return Evidence(
            verdict=Verdict.PASSED if before == after else Verdict.DIFFERS,
            summary=f"{path.name} names {context.plan.target.ref}"
            if before == after
            else f"{path.name} does not say it",
        )

    async def preview_revert(self, context: Context) -> Preview:
        """Show the diff back to the former bytes."""
        path, now, former = await self._way_back(context)
        same = Remark("The file is as it was before the run: nothing is written.")
        return Preview(
            title=f"Put back {path.name} of {context.plan.apps[self.app].title}",
            target=str(path),
            verb="Delete the file" if former is None else "Put it back",
            undo="Run the step again: the section is written anew.",
            actions=(same if now == former else FileChange(str(path), text_diff(now or b"", former or b"")),),
        )

    async def revert(self, context: Context) -> None:
        """Put the former bytes back, unless somebody edited the file since."""
        path, now, former = await self._way_back(context)
        if now != former:
            if former is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(former)
            context.ran("file", "put back as it was", str(path))

    async def verify_reverted(self, context: Context) -> Evidence:
        """Compare the file with its former bytes, and forget them when it is equal."""
        path, now, former = await self._way_back(context)
        return reverted(now == former, f"{path.name} is as it was", f"{path} is not what it was before the run")

    def forget(self, context: Context) -> None:
        """Forget the former bytes: they are in the file again."""
        context.memory.forget(self.id)
        context.memory.forget(self._written)

    @property
    def _written(self) -> str:
        return f"{self.id}:written"

    async def _way_back(self, context: Context) -> tuple[Path, bytes | None, bytes | None]:
        """Return the file, what it holds, and what it held before; None stands for no file."""
        path = self._path(context)
        now = path.read_bytes() if path.exists() else None
        kept = context.memory.recall(self.id)
        if kept is None:
            return path, now, now
        former = None if kept == b"-" else kept[1:]
        known = [former, context.memory.recall(self._written)]
        if now not in known:
            raise edited_since(path, known[1] or b"", now)
        return path, now, former

    def _path(self, context: Context) -> Path:
        app = context.plan.apps[self.app]
        return app.directory / app.readme

    def _change(self, context: Context) -> tuple[Path, bytes, bytes]:
        from tekup_migrate.report.readme import with_section

        path = self._path(context)
        before = path.read_bytes() if path.exists() else b""
        return (
            path,
            before,
            with_section(
                before,
                readme_lines(context.plan, self.app, [move.place.label for move in planned_moves(context, self.app)]),
            ),
        )


def readme_lines(plan: Plan, app_id: str, moved: Sequence[str]) -> tuple[str, ...]:
    """Return what an app's README says about where its data lives; ``moved`` names the tables that moved."""
    app, target = plan.apps[app_id], plan.target
    tables = list(moved) or list(app.tables)
    lines = ["## Database", "", f"The data is in the Supabase project `{target.ref}` ({target.region})."]
    if moved:
        lines[-1] += f" Until the consolidation it was in `{plan.source.ref}` ({plan.source.region})."
    others = [other.title for name, other in plan.apps.items() if name != app_id]
    if others:
        lines.append(f"The project is shared with {', '.join(others)}: a change to its schema concerns them too.")
    if tables:
        lines += ["", "Tables: " + ", ".join(f"`{name}`" for name in tables) + "."]
    lines += ["", "Keys and passwords are in the project's dashboard, not in this repository."]
    return tuple(lines)
