"""One choice of a dialog: a key, a label, and perhaps a reason why it cannot be taken now."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Static


class Choice(Static):
    """A button of one line. One that destroys takes no focus, so that Enter cannot reach it.

    Attributes:
        name: what the dialog knows it by.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "take", "Take this choice", show=False)]
    DEFAULT_CSS = """
    Choice { width: auto; height: 1; padding: 0 1; margin: 0 1; background: $panel; }
    Choice:hover { background: $boost; }
    Choice:focus { text-style: bold reverse; }
    Choice.-danger { color: $text-error; }
    Choice.-off { text-style: dim; }
    """

    class Taken(Message):
        """A choice was clicked, or Enter was pressed on it."""

        def __init__(self, choice: Choice) -> None:
            super().__init__()
            self.choice = choice

    def __init__(self, name: str, key: str, label: str, *, focusable: bool = True, danger: bool = False) -> None:
        shown = Content.assemble((key, "bold"), "  ", label) if key else Content(f"[ {label} ]")
        super().__init__(shown, name=name, id=f"choice-{name}", classes="-danger" if danger else None)
        self.can_focus = focusable

    def action_take(self) -> None:
        """Tell the dialog that this choice was taken."""
        self.post_message(self.Taken(self))

    def on_click(self) -> None:
        """Tell the dialog that this choice was taken."""
        self.action_take()
