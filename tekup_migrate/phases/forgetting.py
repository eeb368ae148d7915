"""Forgetting the source's secrets once nothing needs them any more."""

from __future__ import annotations

from tekup_migrate.phases.taken_back import reverted
from tekup_migrate.plan import Phase, Plan
from tekup_migrate.steps import Context, Danger, Evidence, Preview, Remark, Step, Undo, Verdict


class ForgetSource(Step):
    """Removes the source's password and keys from where they are kept on this machine."""

    danger = Danger.CAREFUL
    undo = Undo.UNDOABLE
    undo_note = "In this sitting they are kept again; in a later one they are asked for when they are needed."
    why = (
        "What is not kept cannot leak. The project itself stays as it is, and so do the apps' env files; going back or"
        " comparing again later asks for the password."
    )

    def __init__(self, plan: Plan, phase: Phase) -> None:
        title = f"Forget the credentials of {plan.source.title}"
        super().__init__(id=f"{phase.id}.forget", phase=phase.id, title=title)
        self.project = plan.project_id("source")

    async def preview(self, context: Context) -> Preview:
        """Name what is kept, and where."""
        source, kept = context.project(self.project), await context.secrets.kept(self.project)
        where = context.secrets.kept_in
        lines = [Remark(f"{kind} of {source.ref}, kept in {where}") for kind in kept]
        return Preview(
            title=self.title,
            target=f"{source.title} · {source.ref} · in {where}",
            verb=f"Forget {len(kept)}" if kept else "Go on",
            undo=self.undo_note,
            destroys=tuple(f"{kind}, the entry in {where}" for kind in kept),
            actions=tuple(lines) or (Remark(f"Nothing of it is kept beyond this sitting ({where})."),),
        )

    async def apply(self, context: Context) -> None:
        """Forget them, and say so in the journal."""
        kept = await context.secrets.kept(self.project)
        await context.secrets.forget(self.project)
        for kind in kept:
            context.ran("note", f"forgot the {kind} of {context.project(self.project).ref}", context.secrets.kept_in)

    async def verify(self, context: Context) -> Evidence:
        """Look whether anything is still kept."""
        kept = await context.secrets.kept(self.project)
        return Evidence(
            verdict=Verdict.DIFFERS if kept else Verdict.PASSED,
            summary=f"still kept: {', '.join(kept)}" if kept else "nothing of it is kept on this machine",
        )

    async def preview_revert(self, context: Context) -> Preview:
        """Say what can be kept again."""
        return Preview(
            title=f"Keep the credentials of {context.project(self.project).title} again",
            target=context.secrets.kept_in,
            verb="Keep them",
            undo="Run the step again.",
            actions=(Remark(self.undo_note),),
        )

    async def revert(self, context: Context) -> None:
        """Keep again what this sitting still holds."""
        await context.secrets.keep_again(self.project)

    async def verify_reverted(self, context: Context) -> Evidence:
        """Say what is kept; what is not will be asked for."""
        kept = await context.secrets.kept(self.project)
        good = f"kept: {', '.join(kept)}" if kept else "they are asked for when they are needed"
        return reverted(True, good, "")
