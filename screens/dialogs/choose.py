"""A choice only the operator can make: every option with its consequence, none taken by default."""

from __future__ import annotations

from collections.abc import Iterable

from textual import events
from textual.app import ComposeResult
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from screens.dialogs.dialog import Dialog
from screens.widgets.choice import Choice
from screens.wording import one_line, plain
from tekup_migrate.steps import Question


class ChooseDialog(Dialog[str]):
    """Returns the id of the chosen option, or an empty text when the operator chose none."""

    CSS_PATH = "choose.tcss"

    def __init__(self, question: Question) -> None:
        super().__init__(title=one_line(question.title), note="your decision")
        self._question = question
        numbered = [(str(n), one_line(option.label)) for n, option in enumerate(question.options, 1)]
        self.keys = (*numbered, ("Esc", "Decides nothing now: the run pauses here."))

    def withdrawn(self) -> str:
        """Choose nothing."""
        return ""

    def compose_body(self) -> ComposeResult:
        """Show what is to be decided."""
        yield Static(Content(plain(self._question.text)))

    def compose_below(self) -> ComposeResult:
        """Lay out an option on each line, its consequence under it."""
        for number, option in enumerate(self._question.options, 1):
            yield Choice(f"option-{number}", str(number), one_line(option.label))
            if option.consequence:
                consequence = Content.styled(plain(option.consequence), "dim")
                yield Static(consequence, classes="consequence")

    def choices(self) -> Iterable[Widget]:
        """Return the way out."""
        yield Choice("cancel", "", "Decide later")

    def on_key(self, event: events.Key) -> None:
        """Take the number of an option."""
        if event.character and event.character.isdecimal():
            self._choose(int(event.character))

    def take(self, name: str) -> None:
        """Take a choice that was clicked, or that Enter was pressed on."""
        if name == "cancel":
            self.action_withdraw()
        else:
            self._choose(int(name.removeprefix("option-")))

    def _choose(self, number: int) -> None:
        if 1 <= number <= len(self._question.options):
            self.dismiss(self._question.options[number - 1].id)
