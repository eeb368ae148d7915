"""How much memory this program took at most, for the report's figures."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def peak_memory() -> int:
    """Return the largest resident size of this process so far, in bytes."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    if sys.platform == "linux":
        # getrusage(2) there also counts whoever started us, up to the exec; proc(5) counts this program alone.
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        if found := re.search(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE):
            return int(found[1]) * 1024
    import resource

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # getrusage(2): bytes on macOS, kilobytes elsewhere.
    return largest if sys.platform == "darwin" else largest * 1024
