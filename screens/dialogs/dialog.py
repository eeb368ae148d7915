"""What all dialogs have in common: they are deaf at first, start on Cancel, and can be withdrawn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Generic, TypeVar

from textual import events, on
from textual._time import get_time
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Static

from screens.widgets.choice import Choice
from screens.widgets.room import Room, is_cramped
from screens.wording import counted

T = TypeVar("T")

DEAF_SECONDS = 0.4
_LEAST_BODY = 3


class Dialog(ModalScreen[T], Generic[T]):
    """A question in front of a screen.

    It hears nothing before it was painted and 0.4 s have passed, and then only what was typed after that:
    keys typed ahead are thrown away by when they were typed, not by when they arrive.

    Attributes:
        keys: each key of this dialog and what it does, for the help.
        why: why this is asked, for the help.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "withdraw", "Cancel", show=False),
        Binding("question_mark,f1", "app.perform('help')", "Help", show=False),
        Binding("up", "scroll_body(-1)", show=False),
        Binding("down", "scroll_body(1)", show=False),
        Binding("pageup", "scroll_body(-10)", show=False),
        Binding("pagedown", "scroll_body(10)", show=False),
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
    ]
    AUTO_FOCUS = "#choice-cancel"

    def __init__(self, *, title: str, note: str = "", kind: str = "") -> None:
        super().__init__(classes=f"-deaf -{kind}" if kind else "-deaf")
        self.why = ""
        self.keys: tuple[tuple[str, str], ...] = ()
        self._title = title
        self._note = note
        self._hears_from: float | None = None
        self._answered = False
        self._room = 0
        self._had_focus: Widget | None = None

    def withdrawn(self) -> T:
        """Return the answer of an operator who answers nothing now."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """Lay out the box: what is fixed above, the scrolled body, what is fixed below, the choices."""
        with Vertical(id="box") as box:
            box.border_title = Content(self._title)
            box.border_subtitle = Content(self._note)
            yield from self.compose_above()
            with VerticalScroll(id="body", can_focus=False):
                yield from self.compose_body()
            yield Static(id="more")
            yield from self.compose_below()
            with Horizontal(id="choices"):
                yield from self.choices()
        yield Room()

    def compose_above(self) -> ComposeResult:
        """Lay out what stays in sight above the body."""
        yield from ()

    def compose_body(self) -> ComposeResult:
        """Lay out what may be scrolled."""
        yield from ()

    def compose_below(self) -> ComposeResult:
        """Lay out what stays in sight below the body."""
        yield from ()

    def choices(self) -> Iterable[Widget]:
        """Return the choices, Cancel first."""
        return ()

    def take(self, name: str) -> None:
        """Take the choice of this name; ``cancel`` answers nothing now."""
        self.action_withdraw()

    @on(Choice.Taken)
    def _take_if_meant(self, message: Choice.Taken) -> None:
        if self.hears(message):
            self.take(message.choice.name or "cancel")

    def hears(self, event: Message) -> bool:
        """Whether the operator can have meant this key, paste or click for this dialog."""
        if is_cramped(self.app.size):
            return False
        return self._hears_from is not None and event.time >= self._hears_from

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        """Be deaf again: what is in front now was not a moment ago."""
        self._hears_from = None
        self.add_class("-deaf")
        self.remove_class("-beneath")
        if self._had_focus is not None:
            self.set_focus(self._had_focus)
        self.call_after_refresh(self._painted)

    def on_screen_suspend(self) -> None:
        """Make room for what opens in front: two boxes in each other's frame cannot be read."""
        # What is hidden loses its focus, and a name half typed must go on where it was.
        self._had_focus = self.focused
        self.add_class("-beneath")

    def on_resize(self, event: events.Resize) -> None:
        """Fit the new size: the body scrolls, what carries the decision does not."""
        self.query_one(Room).fit(event.size)
        self.call_after_refresh(self._fit_body)

    def on_mount(self) -> None:
        """Keep the count of hidden lines true, whatever scrolls or changes the body."""
        body = self.query_one("#body", VerticalScroll)
        for changing in ("scroll_y", "virtual_size", "show_vertical_scrollbar"):
            self.watch(body, changing, self._fit_soon, init=False)

    def dismiss(self, result: T | None = None) -> AwaitComplete:
        """Answer, once: of a key held down or text pasted, more may be on its way when the first has answered."""
        if self._answered:
            return AwaitComplete()
        self._answered = True
        return super().dismiss(result)

    def action_withdraw(self) -> None:
        """Answer nothing now."""
        self.dismiss(self.withdrawn())

    def action_scroll_body(self, lines: int) -> None:
        """Scroll the body by some lines."""
        body = self.query_one("#body", VerticalScroll)
        body.scroll_relative(y=lines, animate=False)

    def _fit_soon(self) -> None:
        self.call_after_refresh(self._fit_body)

    def _painted(self) -> None:
        if self._hears_from is None:
            self._hears_from = get_time() + DEAF_SECONDS
            self.set_timer(DEAF_SECONDS, lambda: self.remove_class("-deaf"))

    def _fit_body(self) -> None:
        """Give the body what the fixed lines leave, again until nothing moves; the box scrolls only at the worst."""
        if not self.query("#choices"):
            # The dialog is being taken down.
            return
        box, body = self.query_one("#box"), self.query_one("#body", VerticalScroll)
        fixed = sum(child.outer_size.height + child.styles.margin.height for child in box.children if child is not body)
        left = self.size.height - fixed - box.gutter.height
        box.set_class(left < _LEAST_BODY, "-crowded")
        room = max(_LEAST_BODY, left)
        if room != self._room:
            self._room = room
            body.styles.max_height = room
            self.call_after_refresh(self._fit_body)
        self._tell_more()

    def _tell_more(self) -> None:
        body = self.query_one("#body", VerticalScroll)
        hidden = round(body.max_scroll_y - body.scroll_y)
        above = round(body.scroll_y)
        parts = [f"▲ {counted(above, 'line')} above, PgUp"] if above else []
        parts += [f"▼ {counted(hidden, 'more line')}, PgDn"] if hidden else []
        more = self.query_one("#more", Static)
        more.update(Content("   ".join(parts)))
