"""Asks for a secret: typed or pasted, never painted, never copied back out."""

from __future__ import annotations

from collections.abc import Iterable

from textual import events, on
from textual.app import ComposeResult
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from screens.dialogs.dialog import Dialog
from screens.widgets.choice import Choice
from screens.wording import one_line, plain
from tekup_migrate.credentials.secret import Secret
from tekup_migrate.plan import Plan
from tekup_migrate.questions import SecretRequest


class SecretInput(Input):
    """A masked line whose value does not go to the clipboard."""

    def __init__(self) -> None:
        super().__init__(password=True, id="secret", select_on_focus=False)

    def _on_paste(self, event: events.Paste) -> None:
        # The base class is called by the dispatch as well. What is copied often has a space or a line end around it.
        if event.text != event.text.strip():
            event.stop()
            event.prevent_default()
            self.post_message(events.Paste(event.text.strip()))

    def action_copy(self) -> None:
        """Copy nothing: the clipboard is read by others."""

    def action_cut(self) -> None:
        """Cut nothing: the clipboard is read by others."""


class SecretDialog(Dialog[Secret | None]):
    """Returns the secret, or None when the operator does not have it now."""

    CSS_PATH = "ask_secret.tcss"
    AUTO_FOCUS = "#secret"

    def __init__(self, request: SecretRequest, plan: Plan) -> None:
        project = plan.projects.get(request.project)
        self._owner = f"{one_line(project.title)} · {project.ref}" if project is not None else one_line(request.project)
        self._ref = project.ref if project is not None else request.project
        self._request = request
        super().__init__(title=f"{one_line(request.kind).capitalize()} needed", note="never painted, never written")
        self.keys = (
            ("Enter", "Takes what was typed or pasted."),
            ("Esc", "You do not have it now; the step says what that means."),
        )

    def withdrawn(self) -> Secret | None:
        """Give none."""
        return None

    def compose_above(self) -> ComposeResult:
        """Name the project it belongs to."""
        yield Static(Content.assemble(("Project  ", "dim"), (self._owner, "bold")))

    def compose_body(self) -> ComposeResult:
        """Say what was wrong with the last one, and what it is needed for."""
        if self._request.trouble:
            yield Static(Content.styled(plain(self._request.trouble), "bold $text-error"), id="trouble")
        yield Static(Content(plain(self._request.why)))

    def compose_below(self) -> ComposeResult:
        """Lay out the masked line."""
        yield SecretInput()
        kept = f"It is kept in {plain(self._request.kept_in)}, and nowhere else."
        yield Static(Content(kept), classes="muted")
        yield Static(id="hint")

    def choices(self) -> Iterable[Widget]:
        """Return not having it, and taking it."""
        yield Choice("cancel", "", "I do not have it now")
        yield Choice("take", "Enter", f"Use this {one_line(self._request.kind)}")

    @on(Input.Submitted)
    def _use(self) -> None:
        value = self.query_one("#secret", Input).value.strip()
        if value:
            self.dismiss(Secret(value, kind=self._request.kind, project=self._ref))
        else:
            self.query_one("#hint", Static).update(Content.styled("Nothing was typed.", "bold $text-warning"))

    def take(self, name: str) -> None:
        """Take a choice that was clicked, or that Enter was pressed on."""
        if name == "take":
            self._use()
        else:
            self.action_withdraw()
