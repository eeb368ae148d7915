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
from tekup_migrate.questions import Question

_TENTH = 10
"""The option that 0 chooses; those after it have no key of their own."""


class ChooseDialog(Dialog[str]):
    """Returns the id of the chosen option, or an empty text when the operator chose none."""

    CSS_PATH = "choose.tcss"

    def __init__(self, question: Question) -> None:
        super().__init__(title=one_line(question.title), note="your decision")
        self._question = question
        options = enumerate(question.options, 1)
        numbered = [(_key_of(number), one_line(option.label)) for number, option in options if _key_of(number)]
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
            yield Choice(f"option-{number}", _key_of(number), one_line(option.label))
            if option.consequence:
                consequence = Content.styled(plain(option.consequence), "dim")
                yield Static(consequence, classes="consequence")

    def choices(self) -> Iterable[Widget]:
        """Return the way out."""
        yield Choice("cancel", "", "Decide later")

    def on_key(self, event: events.Key) -> None:
        """Take the number of an option."""
        if event.character and event.character.isdecimal():
            self._choose(int(event.character) or _TENTH)

    def take(self, name: str) -> None:
        """Take a choice that was clicked, or that Enter was pressed on."""
        if name == "cancel":
            self.action_withdraw()
        else:
            self._choose(int(name.removeprefix("option-")))

    def _choose(self, number: int) -> None:
        if 1 <= number <= len(self._question.options):
            self.dismiss(self._question.options[number - 1].id)


def _key_of(number: int) -> str:
    """Return the key that chooses an option: 1 to 9, and 0 for the tenth; Tab and the mouse reach what has none."""
    return str(number % _TENTH) if number <= _TENTH else ""
