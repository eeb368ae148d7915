"""A backup is whole, private, says what it holds, and leaves nothing behind when it fails."""

from __future__ import annotations

from pathlib import Path

from tekup_migrate.backup.dump import BackupRequest, backup_project
from tekup_migrate.backup.manifest import Manifest
from tekup_migrate.postgres.dsn import parse_url
from tekup_migrate.rehearsal.supabase import SupabaseDatabase
from tekup_migrate.steps import Gate


async def test_smoke(source_database: SupabaseDatabase, tmp_path: Path) -> None:
    connection = await source_database.connect()
    await connection.execute("CREATE TABLE public.notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text, v extensions.vector(3)); INSERT INTO public.notes (body, v) SELECT 'n' || g, '[1,2,3]' FROM generate_series(1, 100) g; CREATE POLICY p ON public.notes USING (auth.uid() IS NOT NULL)")
    await connection.close()
    parsed = parse_url(source_database.url.reveal())
    events = []
    folder, manifest = await backup_project(
        BackupRequest(url=parsed.url, password=parsed.password, name="ledger backup", plain=True), tmp_path / "a b", listen=events.append, gate=Gate()
    )
    for e in events: print(e)
    for p in sorted(folder.rglob("*")): print(p, p.stat().st_size)
    print((folder / "RESTORE.md").read_text()); print((folder/"manifest.json").read_text()); print((folder/"plain.sql").read_text())
    assert Manifest.load(folder) == manifest
