"""What roles have to do with an object that moves: who owns it in the target, and who gives its rights there."""

from __future__ import annotations

from tekup_migrate.postgres.catalog.objects import CatalogObject, Kind
from tekup_migrate.postgres.catalog.reading import Catalog
from tekup_migrate.postgres.ddl.granting import givers_changed, missing_roles
from tekup_migrate.postgres.ddl.naming import Naming

WITHOUT_OWNER = frozenset(
    {Kind.CONSTRAINT, Kind.FOREIGN_KEY, Kind.INDEX, Kind.TRIGGER, Kind.RULE, Kind.POLICY, Kind.PUBLICATION,
     Kind.EXTENSION, Kind.CAST, Kind.EVENT_TRIGGER}
)  # fmt: skip
"""What has no owner of its own, or none that is carried over."""


def owner_there(item: CatalogObject, target: Catalog) -> str:
    """Return who owns an object in the target once it is made: the source's owner, else the connected role."""
    return item.owner if item.owner in target.memberships else target.user


def about_roles(item: CatalogObject, names: Naming, source: Catalog, target: Catalog) -> str:
    """Return what an object's owner and grants cannot be in the target, and why; empty where they can."""
    found = []
    owner = owner_there(item, target)
    if item.key.kind not in WITHOUT_OWNER and owner != item.owner != source.user:
        found.append(f"{owner} owns it there and not {item.owner}: {_why_not(item.owner, target)}")
    missing = missing_roles(item, target.roles)
    if missing:
        found.append(f"grants to {', '.join(missing)} stay behind: no such role in the target")
    return "; ".join((*found, *givers_changed(item, names, source, target, owner=owner)))


def _why_not(role: str, target: Catalog) -> str:
    if role not in target.roles:
        return "no such role in the target"
    return f"{target.user} {'does not inherit from it' if role in target.settable else 'may not act as it'}"
