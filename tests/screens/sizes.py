"""The terminals that screens are shown on."""

from __future__ import annotations

import pytest

LARGE, SMALL = (120, 40), (80, 24)
SIZES = (LARGE, SMALL)
SMALL_FIRST = (SMALL, pytest.param(LARGE, marks=pytest.mark.long))
"""For what depends on keys more than on room: where it works on the small one, the large one is a long proof."""
