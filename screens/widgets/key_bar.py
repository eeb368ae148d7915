"""The keys at the foot of a screen; what cannot be done now stays there, dimmed, and says why."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

from screens.commands import Command
from screens.desk import Desk


class KeyHint(Static):
    """One key and what it does; a click does the same."""

    DEFAULT_CSS = """
    KeyHint { width: auto; height: 1; padding: 0 1; }
    KeyHint:hover { background: $boost; }
    KeyHint.-off { text-style: dim; }
    """

    def __init__(self, command: Command, label: str) -> None:
        super().__init__()
        self.command = command
        self._label = ""
        self.relabel(label)

    def relabel(self, label: str) -> None:
        """Show another label for the same key."""
        if label != self._label:
            self._label = label
            self.update(Content.assemble((self.command.shown, "bold $text-accent"), " ", label))

    async def on_click(self) -> None:
        """Do what the key does."""
        await self.run_action(f"app.perform('{self.command.name}')")


class KeyBar(Horizontal):
    """A row of key hints, those marked ``right`` pushed to the right end."""

    DEFAULT_CSS = """
    KeyBar { height: 1; background: $panel; padding: 0 1; }
    KeyBar .gap { width: 1fr; min-width: 0; }
    """

    def __init__(self, desk: Desk, commands: Sequence[Command]) -> None:
        super().__init__()
        self._desk = desk
        self._commands = commands

    def compose(self) -> ComposeResult:
        """Lay out a hint for every command."""
        for command in (command for command in self._commands if not command.right):
            yield KeyHint(command, self._label(command))
        yield Static(classes="gap")
        for command in (command for command in self._commands if command.right):
            yield KeyHint(command, self._label(command))

    def _label(self, command: Command) -> str:
        return (command.rehearsing if self._desk.rehearsal else "") or command.label

    def paint(self, *, start: str) -> None:
        """Dim what cannot be done now; ``start`` is what Enter would do."""
        for hint in self.query(KeyHint):
            reason = self._desk.why_not(hint.command.name)
            hint.set_class(bool(reason), "-off")
            tooltip = reason or hint.command.tells
            if hint.tooltip != tooltip:
                hint.tooltip = Content(tooltip)
            if hint.command.name == "start":
                hint.relabel(start)
