"""Makes ``python -m tekup_migrate`` the same command as ``tekup-migrate``."""

import sys

from tekup_migrate.cli import main

sys.exit(main())
