"""Says how much room the wizard needs when the terminal is smaller; what runs keeps running."""

from __future__ import annotations

from textual.content import Content
from textual.geometry import Size
from textual.widgets import Static

LEAST = Size(80, 24)


def is_cramped(size: Size) -> bool:
    """Whether a terminal of this size has too little room."""
    return size.width < LEAST.width or size.height < LEAST.height


class Room(Static):
    """Covers a screen while the terminal is too small; hidden otherwise."""

    DEFAULT_CSS = """
    Room {
        layer: room; dock: top; width: 100%; height: 100%; display: none;
        background: $background; color: $foreground; content-align: center middle; text-align: center;
    }
    Room.-shown { display: block; }
    """

    def fit(self, size: Size) -> None:
        """Show or hide for a terminal of this size."""
        self.set_class(is_cramped(size), "-shown")
        self.update(
            Content(
                f"This needs {LEAST.width} × {LEAST.height} characters.\n"
                f"Here are {size.width} × {size.height}.\n"
                "Make the window larger.\n"
                "What runs keeps running; Ctrl-C pauses it."
            )
        )
