"""Everything that talks to a Postgres server or drives its programs."""
