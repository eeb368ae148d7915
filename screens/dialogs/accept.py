"""The dialog before a step whose parts are decided about one by one, such as each key of an env file."""

from __future__ import annotations

from collections import Counter

import msgspec
from textual import events, on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from screens.dialogs.confirm import ConfirmDialog
from screens.widgets.diff_view import DiffView
from screens.widgets.revealed import Revealed
from screens.wording import one_line
from tekup_migrate.parts import Part
from tekup_migrate.questions import Answer, Reply
from tekup_migrate.steps import FileChange, Preview, Step


class AcceptDialog(ConfirmDialog):
    """Lets each part of a previewed step be accepted or left out, then all that is accepted go ahead at once."""

    def __init__(self, step: Step, preview: Preview, *, opening_key: str = "") -> None:
        super().__init__(step, preview, opening_key=opening_key)
        self._step = step
        self._parts = {part.id: part for part in preview.parts}
        self._order: list[str] = []
        self._marked = ""
        self.keys = (
            self.keys[0],
            ("Up Down", "Mark the part above or below."),
            ("Space", "Chooses the next option for the marked part."),
            ("f", "Chooses the same for the whole file of the marked part."),
            ("r R", "Shows the new value (r) or the present one (R) while held; any other key hides it at once."),
            *self.keys[1:],
        )

    def file_view(self, change: FileChange) -> DiffView:
        """Return what shows the change of one file, with its parts."""
        return DiffView(change, self.preview.parts)

    def compose_below(self) -> ComposeResult:
        """Say what is chosen, and make room for one revealed value."""
        yield Revealed()
        yield Static(id="tally")
        yield from super().compose_below()

    def on_mount(self) -> None:
        """Mark the first part."""
        super().on_mount()
        self._order = [part for view in self.query(DiffView) for part in view.part_ids]
        self._marked = self._order[0] if self._order else ""
        self._show()

    def agreed(self) -> Reply:
        """Return the answer with what is chosen for every part."""
        return Reply(Answer.PROCEED, choices={part.id: part.choice for part in self._parts.values()})

    def on_key(self, event: events.Key) -> None:
        """Take the keys of the parts; every key but the revealing ones hides what is revealed."""
        if event.character in ("r", "R") and self._marked:
            event.stop()
            self._reveal(present=event.character == "R")
            return
        self.query_one(Revealed).hide()
        if event.key == "space" and self._marked:
            event.stop()
            self._choose([self._marked], self._following(self._parts[self._marked]))
        elif event.character == "f" and self._marked:
            event.stop()
            marked = self._parts[self._marked]
            group = [part.id for part in self._parts.values() if part.group == marked.group]
            self._choose(group, self._following(marked))
        else:
            super().on_key(event)

    def action_scroll_body(self, lines: int) -> None:
        """Mark the next part; whole pages scroll."""
        self.query_one(Revealed).hide()
        if abs(lines) > 1 or not self._order:
            super().action_scroll_body(lines)
            return
        index = self._order.index(self._marked) + lines
        self._marked = self._order[max(0, min(index, len(self._order) - 1))]
        self._show()
        self.call_after_refresh(self._scroll_to_marked)

    def on_screen_suspend(self) -> None:
        """Reveal nothing behind another screen."""
        self.query_one(Revealed).hide()

    @on(Revealed.Resized)
    def _make_room(self) -> None:
        self._fit_soon()

    def _following(self, part: Part) -> str:
        return part.options[(part.options.index(part.choice) + 1) % len(part.options)]

    def _choose(self, ids: list[str], choice: str) -> None:
        """Choose for these parts, where it is one of their options."""
        for part in (self._parts[name] for name in ids):
            if choice in part.options:
                self._parts[part.id] = msgspec.structs.replace(part, choice=choice)
        self._show()
        self.call_after_refresh(self._scroll_to_marked)

    def _show(self) -> None:
        parts = tuple(self._parts.values())
        for view in self.query(DiffView):
            view.show(parts, self._marked)
        counts = Counter(part.choice for part in parts)
        tally = " · ".join(f"{number} {one_line(choice)}" for choice, number in counts.items())
        self.query_one("#tally", Static).update(Content.styled(tally, "bold"))
        keys = "▲▼ mark   space choose   f whole file   r reveal while held"
        self.query_one("#hint", Static).update(Content.styled(keys, "$text-muted"))

    def _reveal(self, *, present: bool) -> None:
        values = self._step.behind(self._marked)
        label = one_line(self._parts[self._marked].label)
        if not values:
            self._hint(f"{label} has no value to look at.")
            return
        value = values[0] if present or len(values) == 1 else values[-1]
        word = "now" if value is values[0] else "new"
        self.query_one(Revealed).reveal(f"{label}, {word}:", value)

    def _scroll_to_marked(self) -> None:
        view = next((view for view in self.query(DiffView) if self._marked in view.part_ids), None)
        if view is None:
            return
        body = self.query_one("#body", VerticalScroll)
        line = view.virtual_region.y + view.line_of(self._marked)
        body.scroll_to(y=max(0, line - body.size.height // 3), animate=False)
