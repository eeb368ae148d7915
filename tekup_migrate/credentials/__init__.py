"""Secrets: the type that hides them, where they are kept, and how leaks are found."""
