"""A screen that gives the journal's account as one text to scroll through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from screens.framed import FramedScreen
from tekup_migrate.journal import Entry


class AccountScreen(FramedScreen):
    """The journal's account, read anew only when something happened.

    Attributes:
        PANEL: the id of the scrolled panel; its text is ``<id>-text``.
        HEADING: what stands in its border.
    """

    PANEL: ClassVar[str] = ""
    HEADING: ClassVar[str] = ""

    def compose_centre(self) -> ComposeResult:
        """One scrolled text."""
        with VerticalScroll(id=self.PANEL) as panel:
            panel.border_title = self.HEADING
            yield Static(id=f"{self.PANEL}-text")

    def on_mount(self) -> None:
        """Put the focus on the text, so that arrow keys scroll it."""
        # A query, because a screen can be mounted and taken down in one breath at the end of a run.
        self.query(f"#{self.PANEL}").focus()
        self._seen: object = None

    def paint_centre(self) -> None:
        """Give the account anew when something happened."""
        board = self.desk.board
        seen = (board.current, board.status, len(board.left()))
        if seen == self._seen or (latest := self.desk.latest()) is None:
            return
        self._seen = seen
        self.query_one(f"#{self.PANEL}-text", Static).update(self.account(latest))

    def account(self, latest: Mapping[str, Entry]) -> Content:
        """Return the text, from each step's latest entry."""
        raise NotImplementedError
