"""Reads event triggers, which act on the whole database: they may refuse what is created, or change it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tekup_migrate.postgres.catalog.objects import EventTrigger
from tekup_migrate.postgres.catalog.sql import key, not_of_extension, owner, read

if TYPE_CHECKING:
    import asyncpg

_EVENT_TRIGGERS = f"""
    SELECT {key("'event trigger'", "''", "e.evtname")} AS key, e.oid::int8 AS oid, {owner("e.evtowner")},
           obj_description(e.oid, 'pg_event_trigger') AS comment, e.evtevent::text AS event,
           coalesce(e.evttags, '{{}}') AS tags, e.evtfoid::regprocedure::text AS function,
           e.evtenabled::text AS enabled,
           pg_has_role(e.evtowner, 'MEMBER') OR n.nspname = 'public' AS own
    FROM pg_event_trigger AS e
    JOIN pg_proc AS p ON p.oid = e.evtfoid
    JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE {not_of_extension("pg_event_trigger", "e.oid")}
"""
"""Supabase's own belong to a role that ``postgres`` may not act as, and run functions of its own schemas."""


async def read_event_triggers(connection: asyncpg.Connection) -> list[EventTrigger]:
    """Return every event trigger but those that an extension brought; call it under an empty ``search_path``."""
    return await read(connection, _EVENT_TRIGGERS, EventTrigger)
