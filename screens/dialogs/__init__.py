"""Questions and readings that stand in front of a screen, one dialog per module."""
