"""Keys that have been written where others can read them: found, listed, and rotated by the operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tekup_migrate.phases.attesting import attest
from tekup_migrate.plan import Phase, Plan
from tekup_migrate.steps import Context, Evidence, Manual, Preview, Remark, Step, Undo, Verdict

if TYPE_CHECKING:
    from tekup_migrate.credentials.leaks import Leak

_LARGEST_FILE = 2_000_000


class Rotate(Step):
    """Lists secrets that are under git, and records the operator's word that they were rotated."""

    undo = Undo.NOTHING
    undo_note = "It only reads; rotating is done in the dashboard."
    why = "A key that is under git is known to everyone who ever cloned it. Only rotating it helps."

    def __init__(self, plan: Plan, phase: Phase) -> None:
        super().__init__(id=f"{phase.id}.rotate", phase=phase.id, title="Rotate the keys that were found under git")

    async def preview(self, context: Context) -> Preview:
        """List where secrets were found, without their values."""
        found = await found_leaks(context)
        return Preview(
            title=self.title,
            target=", ".join(str(app.directory) for app in context.plan.apps.values()),
            verb="Look",
            undo=self.undo_note,
            actions=(
                *(Remark(line, warning=True) for line in found),
                Manual(self._instruction, self._address(context)),
            ),
        )

    _instruction = "Rotate these keys in the dashboard, then put the new ones into the apps' env files and hosts."

    def _address(self, context: Context) -> str:
        return f"https://supabase.com/dashboard/project/{context.plan.target.ref}/settings/api-keys"

    async def apply(self, context: Context) -> None:
        """Ask for the operator's word; what was found is shown with the question."""
        if context.memory.recall(self.id) is not None:
            return
        found = await found_leaks(context)
        if not found:
            return
        instruction = "\n".join((*found, "", self._instruction))
        await attest(context, id=self.id, title=self.title, instruction=instruction, address=self._address(context))
        context.memory.remember(self.id, b"attested")

    def forget(self, context: Context) -> None:
        """Forget the operator's word."""
        context.memory.forget(self.id)

    async def verify(self, context: Context) -> Evidence:
        """Say what is still found: old keys stay in the history, so only the operator knows that they are dead."""
        found = await found_leaks(context)
        if not found:
            return Evidence(verdict=Verdict.PASSED, summary="no secret was found under git")
        attested = context.memory.recall(self.id) is not None
        return Evidence(
            verdict=Verdict.ATTESTED if attested else Verdict.UNVERIFIED,
            summary=f"{len(found)} places hold a secret; the operator says they were rotated"
            if attested
            else f"{len(found)} places hold a secret",
            facts=found,
        )


async def found_leaks(context: Context) -> tuple[str, ...]:
    """Return where secrets stand in files under git, a line each, without their values."""
    import asyncio

    from tekup_migrate.credentials.leaks import leaks_in_file
    from tekup_migrate.git.repository import Repository

    lines: list[str] = []
    for app in context.plan.apps.values():
        repository = await Repository.open(app.directory)
        for path in await repository.tracked_files():
            file = repository.root / path
            if file.is_file() and file.stat().st_size <= _LARGEST_FILE:
                leaks = await asyncio.to_thread(leaks_in_file, file, context.redactor)
                lines += [_line(app.title, path, leak) for leak in leaks]
    return tuple(lines)


def _line(title: str, path: str, leak: Leak) -> str:
    return f"{title}: {path}, line {leak.line}: {leak.mask}"
