"""Everything the wizard can be told to do, in one list: for the key bar, the help and the palette."""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding


@dataclass(frozen=True)
class Command:
    """One thing the wizard can be told to do.

    Attributes:
        name: what the action ``perform`` takes.
        keys: Textual's key names, separated by commas.
        shown: the key as it is painted.
        label: what the key bar says.
        tells: what the help says.
        right: whether the key bar shows it at its right end.
        rehearsing: what the key bar says in a rehearsal, which is thrown away when it ends; the label where empty.
    """

    name: str
    keys: str
    shown: str
    label: str
    tells: str
    right: bool = False
    rehearsing: str = ""

    @property
    def binding(self) -> Binding:
        """The key binding; it always answers, with the reason where the command cannot be carried out."""
        return Binding(self.keys, f"app.perform('{self.name}')", self.label, show=False, tooltip=self.tells)


START = Command(
    "start",
    "enter,n,r",
    "Enter",
    "Start",
    "Starts the run, or resumes it where it stands (n and r do the same). Each careful step asks first.",
)
PAUSE = Command(
    "pause", "p", "p", "Pause", "Pauses at the next edge of a chunk or step, and says what state everything is in."
)
EVIDENCE = Command("evidence", "e", "e", "Evidence", "Shows what every step has proved so far, with its figures.")
LOG = Command("log", "l", "l", "Log", "Shows every statement, command and file change that ran, and their output.")
ROLL_BACK = Command("rollback", "b", "b", "Roll back", "Takes finished steps back, the last one first.")
RESTORE = Command(
    "restore",
    "",
    "in b",
    "Restore from a backup",
    "The last resort: a backup over a live database, or one table of it beside the live one.",
)
PHASE = Command("phase", "o", "o", "Open", "Opens the screen of the phase that is marked in the list.")
HUB = Command("hub", "h", "h", "Hub", "Goes to the list of all phases and steps.")
CRITERIA = Command("criteria", "c", "c", "Criteria", "Shows the success criteria, with the evidence for each.")
BACK = Command("back", "escape", "Esc", "Back", "Goes back to the screen underneath.")
HELP = Command("help", "question_mark,f1", "?", "Help", "Explains the keys of this screen, and why this step exists.")
QUIT = Command(
    "quit",
    "q",
    "q",
    "Save and quit",
    "Pauses as p does, keeps everything in the journal, and leaves. A rehearsal ends with it.",
    right=True,
    rehearsing="Quit",
)

COMMANDS = (START, PAUSE, EVIDENCE, LOG, ROLL_BACK, RESTORE, PHASE, HUB, CRITERIA, BACK, HELP, QUIT)
