"""Backups that have been restored: pg_dump archives, their TLS relay, the restore drill, and the way back."""
