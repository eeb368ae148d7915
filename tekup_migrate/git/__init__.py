"""A repository, its branches and kept work, what may be staged, and pushing."""
