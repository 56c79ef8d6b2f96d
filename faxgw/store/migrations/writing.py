"""Writes migrations: Alembic's comparison of the tables with a database, and the walls of new tables."""

from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops

from faxgw.store.migrating import SCRIPTS, alembic, versions
from faxgw.store.tables import metadata


def write(owner_url: str, title: str, scripts: Path = SCRIPTS) -> Path | None:
    """Write the next migration, for a database that has all so far; None when there is nothing to change."""
    number = f"{len(versions(scripts)) + 1:04d}"
    with alembic(owner_url, scripts) as config:
        config.set_main_option("file_template", "%%(rev)s")
        made = command.revision(config, title, autogenerate=True, rev_id=number, process_revision_directives=_complete)
    return Path(made.path) if made and not isinstance(made, list) else None


def _complete(_context: object, _revision: object, directives: list[ops.MigrationScript]) -> None:
    upgrade = directives[0].upgrade_ops
    assert upgrade
    if upgrade.is_empty():
        directives.clear()
    else:
        made = [each.table_name for each in upgrade.ops if isinstance(each, ops.CreateTableOp)]
        upgrade.ops.extend(_Protect(name, "tenant_id" in metadata.tables[name].columns) for name in made)


@dataclass
class _Protect(ops.MigrateOperation):
    """Rights and wall of a new table."""

    table: str
    tenants: bool


@renderers.dispatch_for(_Protect)
def _render(context: AutogenContext, protect: _Protect) -> list[str]:
    context.imports.add("from faxgw.store.migrations import protect")
    return [f"protect({protect.table!r}, tenants={protect.tenants})"]
