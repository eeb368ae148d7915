"""The dialog before anything careful or destructive: exactly what will happen, to what, and the way back."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from textual import events, on
from textual.app import ComposeResult
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from screens import marks
from screens.dialogs.dialog import Dialog
from screens.dialogs.reason import ReasonDialog
from screens.widgets.choice import Choice
from screens.widgets.diff_view import DiffView
from screens.widgets.preview_view import blocks
from screens.wording import one_line, plain
from tekup_migrate.cover import Cover
from tekup_migrate.questions import Answer, Reply
from tekup_migrate.steps import Danger, FileChange, Preview, Step

_TAKEN_LETTERS = frozenset("S")
_LAST_RESORT = "XZW"


def capital_letter(verb: str, opening_key: str) -> str:
    """Return the capital letter that lets a destructive step go ahead.

    It is the first letter of the verb that is neither the key that opened the dialog nor the key for skipping.
    """
    refused = _TAKEN_LETTERS | {opening_key.upper()}
    letters = [letter for letter in verb.upper() + _LAST_RESORT if letter.isascii() and letter.isalpha()]
    return next(letter for letter in letters if letter not in refused)


def covering(cover: Cover) -> Content:
    """Return the backup that covers what will be gone, its age, and the way back."""
    name = Path(cover.folder).name
    return Content.assemble(
        ("Backup  ", "dim"), plain(f"{name}, {cover.age}"), ("\nRestore ", "dim"), plain(cover.way_back)
    )


class ConfirmDialog(Dialog[Reply]):
    """Lets one previewed step go ahead, skips it with a reason, or declines for now."""

    CSS_PATH = "confirm.tcss"

    def __init__(self, step: Step, preview: Preview, *, opening_key: str = "") -> None:
        self._destructive = step.danger is Danger.DESTRUCTIVE
        self._key = capital_letter(preview.verb, opening_key) if self._destructive else "y"
        self.preview = preview
        note = f"{step.danger.value} · {marks.UNDOS[step.undo.value]}"
        super().__init__(title=one_line(preview.title), note=note, kind=step.danger.value)
        self.set_class(any(isinstance(action, FileChange) for action in preview.actions), "-diff")
        self.why = step.why
        held = f"Shift and {self._key.lower()}" if self._destructive else self._key
        self.keys = (
            (self._key, f"{one_line(preview.verb)}: {held}; Enter never does it."),
            ("s", "Skips this step; a reason is asked for and goes to the report."),
            ("Esc", "Declines for now: nothing is applied, and the run stops here."),
            ("PgUp PgDn", "Scroll what will happen."),
        )

    def withdrawn(self) -> Reply:
        """Decline for now."""
        return Reply(Answer.DECLINE)

    def compose_above(self) -> ComposeResult:
        """Name the target."""
        yield Static(Content.assemble(("Target  ", "dim"), (plain(self.preview.target), "bold")), id="target")

    def compose_body(self) -> ComposeResult:
        """Show the preview, exactly."""
        for block in blocks(self.preview):
            yield self.file_view(block) if isinstance(block, FileChange) else Static(block, classes="block")

    def file_view(self, change: FileChange) -> DiffView:
        """Return what shows the change of one file."""
        return DiffView(change)

    def compose_below(self) -> ComposeResult:
        """Say how it is taken back, and ask for the target's name where rows would be lost."""
        undo = Content.assemble(("Undo    ", "dim"), plain(self.preview.undo))
        yield Static(undo, id="undo", classes="line")
        if self.preview.cover is not None:
            yield Static(covering(self.preview.cover), id="cover", classes="line")
        if self.preview.typed_name:
            name = one_line(self.preview.typed_name)
            prompt = "Rows that exist nowhere else would be lost. Tab, then type the name "
            yield Static(Content.assemble(prompt, (name, "bold")), classes="line")
            yield Input(id="typed-name", select_on_focus=False)
        yield Static(id="hint")

    def choices(self) -> Iterable[Widget]:
        """Return Cancel, the verb, and skipping."""
        verb = one_line(self.preview.verb)
        yield Choice("cancel", "", "Cancel")
        yield Choice("proceed", self._key, verb, focusable=not self._destructive, danger=self._destructive)
        yield Choice("skip", "s", "Skip, with a reason")

    def on_mount(self) -> None:
        """Show whether the verb can be taken yet."""
        self._show_readiness()

    @on(Input.Changed)
    def _show_readiness(self) -> None:
        self.query_one("#choice-proceed", Choice).set_class(bool(self._why_not()), "-off")

    @on(Input.Submitted)
    def _leave_the_name(self) -> None:
        self.query_one("#choice-cancel", Choice).focus()
        self._hint(self._why_not() or f"Shift and {self._key.lower()} now goes ahead.")

    def on_key(self, event: events.Key) -> None:
        """Take the keys of the choices; a capital letter counts only as typed."""
        if isinstance(self.focused, Input):
            return
        if event.character == self._key:
            event.stop()
            self._proceed()
        elif event.character == "s":
            event.stop()
            self._skip()
        elif self._destructive and event.character == self._key.lower():
            self._hint(f"Hold Shift: the capital letter {self._key} goes ahead.")

    def take(self, name: str) -> None:
        """Take a choice that was clicked, or that Enter was pressed on."""
        actions = {"proceed": self._proceed, "skip": self._skip}
        actions.get(name, self.action_withdraw)()

    def _proceed(self) -> None:
        if reason := self._why_not():
            self._hint(reason)
        else:
            self.dismiss(self.agreed())

    def agreed(self) -> Reply:
        """Return the answer that lets the step go ahead."""
        return Reply(Answer.PROCEED)

    def _skip(self) -> None:
        self.app.push_screen(ReasonDialog(one_line(self.preview.title)), self._skip_because)

    def _skip_because(self, reason: str | None) -> None:
        if reason:
            self.dismiss(Reply(Answer.SKIP, reason))

    def _why_not(self) -> str:
        wanted = self.preview.typed_name
        if wanted and self.query_one("#typed-name", Input).value != wanted:
            return f"Type the name {one_line(wanted)} first: Tab, the name, Enter."
        return ""

    def _hint(self, text: str) -> None:
        self.query_one("#hint", Static).update(Content.styled(text, "bold $text-warning"))
