"""Asks for a connection: a URL or its parts, taken apart as it stands, and the password, never painted."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from screens.dialogs.ask_secret import SecretInput
from screens.dialogs.dialog import Dialog
from screens.widgets.choice import Choice
from screens.wording import one_line, plain
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.errors import ConnectionFailedError
from tekup_migrate.postgres.named_parts import password_places
from tekup_migrate.postgres.pasted import Reading, read_pasted
from tekup_migrate.questions import ConnectionAnswer, ConnectionRequest

# Where a URL's password can stand, finished or not: from the colon behind the user to the last @, or to the end.
_IN_URL = re.compile(r"(?<=://)[^:/@\s]*:(?P<password>.*(?=@)|[^@]*$)")
_LABEL_CELLS = 10


class UrlInput(Input):
    """A line for a URL: a password that is typed into it is masked, and a paste is taken whole."""

    class Pasted(Message):
        """Something was pasted, all of its lines."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    @property
    def _value(self) -> Text:
        """The value as it is painted."""
        return Text(masked(self.value), no_wrap=True, overflow="ignore", end="")

    def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.post_message(self.Pasted(event.text))

    def action_copy(self) -> None:
        """Copy nothing: a password may be in it, and the clipboard is read by others."""

    def action_cut(self) -> None:
        """Cut nothing: a password may be in it, and the clipboard is read by others."""


class PasswordInput(SecretInput):
    """The line for the password; a whole URL, or its parts, pasted into it are taken for what they are."""

    def _on_paste(self, event: events.Paste) -> None:
        if "://" in event.text or len(event.text.strip().splitlines()) > 1 or _is_connection(event.text):
            event.stop()
            event.prevent_default()
            self.post_message(UrlInput.Pasted(event.text))


def _is_connection(text: str) -> bool:
    try:
        read_pasted(text)
    except ConnectionFailedError:
        return False
    return True


class ConnectDialog(Dialog[ConnectionAnswer | None]):
    """Returns what to connect with, or None when the operator does not have it now."""

    CSS_PATH = "connect.tcss"
    AUTO_FOCUS = ""

    def __init__(self, request: ConnectionRequest) -> None:
        note = "does not connect yet" if request.trouble is not None else "the password is never painted"
        super().__init__(
            title=f"Connect to {one_line(request.title)}", note=note, kind="trouble" if request.trouble else ""
        )
        self._request = request
        self.why = "Everything that can be seen to be wrong is named before anything is connected to."
        self.keys = (
            ("Enter", "Connects with what stands in the two lines."),
            ("Tab", "Goes from the URL to the password and on."),
            (
                "Ctrl-V",
                "Pastes a URL in any form (psql …, DATABASE_URL=…), or its parts: host=… user=…, a line each.",
            ),
            ("Esc", "You do not have it now; the step says what that means."),
        )

    def withdrawn(self) -> ConnectionAnswer | None:
        """Give none."""
        return None

    def compose_above(self) -> ComposeResult:
        """Name the project."""
        request = self._request
        whose = f"{one_line(request.title)} · {request.ref} · {request.region}"
        yield Static(Content.assemble(("project".ljust(_LABEL_CELLS), "dim"), (whose, "bold")), id="project")

    def compose_body(self) -> ComposeResult:
        """Show why it did not connect, and what stands in the line taken apart."""
        trouble = self._request.trouble
        if trouble is not None:
            yield Static(Content.styled(plain(trouble.title), "bold $text-error"), id="trouble")
            yield Static(Content(plain(f"{trouble.happened}\n{trouble.remedy}")), classes="text")
        yield Static(id="reading")

    def compose_below(self) -> ComposeResult:
        """Lay out the two lines."""
        url = UrlInput(self._request.text, id="url")
        url.border_title = "Connection URL, or its parts"
        yield url
        password = PasswordInput()
        password.border_title = "Password"
        password.value = self._request.password.reveal() if self._request.password is not None else ""
        yield password
        yield Static(Content(f"The password is kept in {plain(self._request.kept_in)}."), classes="muted")
        yield Static(id="hint")

    def choices(self) -> Iterable[Widget]:
        """Return not having it, and connecting."""
        yield Choice("cancel", "", "Not now")
        yield Choice("take", "Enter", "Connect")

    def on_mount(self) -> None:
        """Start where something is missing."""
        super().on_mount()
        self.query_one("#secret" if self._request.text and not self._request.password else "#url").focus()
        self._take_apart()

    @on(Input.Changed)
    def _take_apart(self) -> None:
        """Take apart what stands in the lines now."""
        lines = self.query_one("#reading", Static)
        try:
            reading = self._read()
        except ConnectionFailedError as error:
            lines.update(Content.styled(plain(f"{error.happened} {error.remedy}"), "dim"))
        else:
            lines.update(_taken_apart(reading, self._request))

    @on(UrlInput.Pasted)
    def _take_paste(self, message: UrlInput.Pasted) -> None:
        """Put a pasted URL into the line, and its password into the other one; refuse what is none."""
        request = self._request
        try:
            reading = read_pasted(message.text, ref=request.ref, region=request.region)
        except ConnectionFailedError as error:
            size = len(message.text.strip())
            self._hint(f"What was pasted ({size} characters) is not taken: {error.happened} A password goes below.")
            return
        self.query_one("#url", Input).value = str(reading.url)
        if reading.password is None:
            self._hint("")
            self.query_one("#secret").focus()
            return
        self.query_one("#secret", Input).value = reading.password.reveal()
        # Mistakes in how the password was written are seen in the paste only.
        said = [f"{found.message} {found.remedy}" for found in reading.findings if "password" in found.kind.value]
        self._hint(" ".join(["The password was taken out of the URL.", *said]), good=not said)

    @on(Input.Submitted)
    def _use(self) -> None:
        """Give what stands there, unless it cannot be right."""
        try:
            reading = self._read()
        except ConnectionFailedError as error:
            self._hint(f"{error.title}: {error.happened}")
            return
        if reading.fatal:
            self._hint(f"{reading.fatal[0].message} {reading.fatal[0].remedy}")
        elif reading.password is None:
            self._hint("The password is missing.")
            self.query_one("#secret").focus()
        else:
            self.dismiss(ConnectionAnswer(text=str(reading.url), password=reading.password))

    def take(self, name: str) -> None:
        """Take a choice that was clicked, or that Enter was pressed on."""
        if name == "take":
            self._use()
        else:
            self.action_withdraw()

    def _read(self) -> Reading:
        typed = self.query_one("#secret", Input).value
        request = self._request
        password = Secret(typed, kind="password", project=request.ref) if typed else None
        text = self.query_one("#url", Input).value
        return read_pasted(text, password=password, ref=request.ref, region=request.region)

    def _hint(self, text: str, *, good: bool = False) -> None:
        style = "bold $text-success" if good else "bold $text-warning"
        self.query_one("#hint", Static).update(Content.styled(plain(text), style))


def masked(text: str) -> str:
    """Return a text with whatever stands where a password can stand as dots, character by character."""
    pieces = list(text)
    for start, end in (*(found.span("password") for found in _IN_URL.finditer(text)), *password_places(text)):
        pieces[start:end] = "•" * (end - start)
    return "".join(pieces)


def _taken_apart(reading: Reading, request: ConnectionRequest) -> Content:
    """Return a URL's mistakes, the fatal ones first, and then its parts, a line each."""
    lines: list[Content] = []
    for found in reading.findings:
        style = "bold $text-error" if found.fatal else "$text-warning"
        lines.append(Content.assemble((f"{'✗' if found.fatal else '!'} {plain(found.message)}", style)))
        lines.append(Content(f"  {plain(found.remedy)}"))
    lines += [Content.assemble((name.ljust(_LABEL_CELLS), "dim"), plain(part) or "–") for name, part in reading.parts]
    if str(reading.url) != request.planned:
        lines.append(Content.styled("differs from the plan's; it is used for all of this run once it connects", "dim"))
    return Content("\n").join(lines)
