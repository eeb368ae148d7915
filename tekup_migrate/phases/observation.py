"""The step that only looks: nothing to confirm, nothing to undo, evidence from what it sees."""

from __future__ import annotations

from tekup_migrate.steps import Context, Preview, Remark, Step


class Observation(Step):
    """A safe step whose whole work is its evidence.

    Subclasses say in ``looks_at`` what will be read, and implement ``verify``.
    """

    def looks_at(self, context: Context) -> tuple[str, ...]:
        """Return what will be read or run, a line each."""
        raise NotImplementedError

    def target(self, context: Context) -> str:
        """Return what it is about: a host, a database, a directory."""
        raise NotImplementedError

    async def preview(self, context: Context) -> Preview:
        """Say what will be looked at."""
        return Preview(
            title=self.title,
            target=self.target(context),
            verb="Look",
            undo=self.undo_note,
            actions=tuple(Remark(line) for line in self.looks_at(context)),
        )

    async def apply(self, context: Context) -> None:
        """Do nothing: looking is what ``verify`` does."""
