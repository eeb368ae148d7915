"""The way in: opens the wizard over a plan, and says how it ended."""

from __future__ import annotations

import sys
from pathlib import Path

from screens.app import EXIT_DEFECT, WizardApp
from tekup_migrate.plan import Plan
from tekup_migrate.sitting import Opening


def open_wizard(plan: Plan, opening: Opening, *, rehearsal: bool, report_file: Path | None = None) -> int:
    """Run the wizard until the operator leaves it.

    Args:
        plan: the consolidation.
        opening: opens the sitting, with the wizard as its operator and listener.
        rehearsal: whether everything is thrown away afterwards.
        report_file: where the JSON report goes when the sitting ends, if anywhere.

    Returns:
        the exit code: 0 left in peace, 1 a defect, 2 the sitting could not be opened, 130 stopped at once.
    """
    app = WizardApp(plan=plan, opening=opening, rehearsal=rehearsal, report_file=report_file)
    code = app.run()
    if app.farewell:
        sys.stderr.write(app.farewell + "\n")
    return EXIT_DEFECT if code is None else code
