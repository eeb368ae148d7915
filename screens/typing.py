"""Which keys, pastes and clicks the operator can have meant for what is in front."""

from __future__ import annotations

from textual import events
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input

from screens.dialogs.dialog import Dialog

BURST_SECONDS = 0.02
"""Nobody presses two keys so fast, and a key that is held down repeats more slowly."""
_ANSWERS = (events.Key, events.Paste, events.MouseDown, events.MouseUp)
_INTERRUPTS = ("ctrl+c", "ctrl+q")


class Typing:
    """Tells what was typed for what is in front from what was typed ahead, or pasted."""

    def __init__(self) -> None:
        self._last_key = 0.0

    def is_meant(self, event: Message, screen: Screen[object]) -> bool:
        """Whether an event may reach the screen; called once for every event that the terminal sends."""
        if not isinstance(event, _ANSWERS) or event.is_forwarded:
            return True
        if isinstance(event, events.Key) and self._is_of_a_paste(event, screen):
            return False
        interrupts = isinstance(event, events.Key) and event.key in _INTERRUPTS
        return interrupts or not isinstance(screen, Dialog) or screen.hears(event)

    def _is_of_a_paste(self, event: events.Key, screen: Screen[object]) -> bool:
        """Whether a letter is part of a burst: a paste with an escape byte in it arrives as one key after the other."""
        burst = event.time < self._last_key + BURST_SECONDS
        self._last_key = event.time
        return burst and event.is_printable and not isinstance(screen.focused, Input)
