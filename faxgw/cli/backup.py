"""``faxgw backup``: backups made, verified and restored; they open with keys of age only."""

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from faxgw.cli.options import JsonOption
from faxgw.cli.serve import ConfigOption, DataOption
from faxgw.config import Config, load
from faxgw.config.model import LogSettings
from faxgw.data_folder import make_folder
from faxgw.errors import RequestError
from faxgw.logs import logging_to

if TYPE_CHECKING:
    from faxgw.store.roles import Urls

app = typer.Typer(
    help="Make backups, verify them, restore them.", add_completion=False, rich_markup_mode=None, no_args_is_help=True
)

_File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]
_Identity = Annotated[
    Path, typer.Option("--identity", metavar="FILE", help="The secret key of age, or of SSH, that opens the backup.")
]
_Signer = Annotated[
    str | None,
    typer.Option(
        "--signer", metavar="KEY", help="Whose signature it must have, as `faxgw backup create` said; else any."
    ),
]


@app.command()
def create(
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Where the backup goes.")],
    recipient: Annotated[
        list[str], typer.Option("--recipient", metavar="KEY", help="Public key that opens it; may be repeated.")
    ],
    config_file: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a backup, with the service running or not. The keys of the spool are never in it."""
    from faxgw.backup.agekeys import recipient as public_key  # noqa: PLC0415
    from faxgw.backup.creating import create as make  # noqa: PLC0415
    from faxgw.backup.noting import note  # noqa: PLC0415
    from faxgw.service import open_objects  # noqa: PLC0415

    config = load(config_file, data_dir=data)
    keys = [public_key(each) for each in recipient]
    _refuse_missing(config)

    def work(urls: "Urls") -> Any:
        store = open_objects(config)
        made = make(to, config=config, config_file=_config_file(config_file), urls=urls, store=store, recipients=keys)
        asyncio.run(note(urls, "backup.created", {"signer": made.signer, "objects": made.objects}))
        return made

    made = _with_database(config, work)
    if as_json:
        said = {"created_at": made.created_at.isoformat(), "signer": made.signer, "tables": made.tables}
        typer.echo(json.dumps(said | {"objects": made.objects, "gone": made.gone, "octets": made.octets}))
        return
    typer.echo(f"{to}: {made.tables} tables and {made.objects} sealed objects, {made.octets >> 10} KiB")
    typer.echo(f"signed by {made.signer}")


@app.command()
def verify(path: _File, identity: _Identity, signer: _Signer = None) -> None:
    """Read a backup to its end, to see that it is whole, unaltered and signed."""
    from faxgw.backup.restoring import verify as read  # noqa: PLC0415

    manifest = read(_source(path, identity, signer))
    objects = manifest["objects"]["count"]
    typer.echo(f"{path}: whole, made {manifest['created_at']} by faxgw {manifest['faxgw']}, {objects} sealed objects")


@app.command()
def restore(
    path: _File,
    identity: _Identity,
    config_file: ConfigOption = None,
    data: DataOption = None,
    tombstones: Annotated[
        list[Path] | None,
        typer.Option("--tombstones", metavar="FILE", help="A log of what was deleted since; may be repeated."),
    ] = None,
    signer: _Signer = None,
    as_json: JsonOption = False,
) -> None:
    """Restore a backup into a new data directory. What the logs of tombstones name is deleted again.

    Nothing is there before all of it is: the directory appears when everything is in its place.
    """
    config = load(config_file, data_dir=data)
    source = _source(path, identity, signer)
    if config.data_dir.exists() and any(config.data_dir.iterdir()):
        raise RequestError("backup.folder", f"{config.data_dir} is not empty; a backup is restored into a new one.")
    if signer is None:
        typer.echo("faxgw: without --signer, whoever has your public key could have made this backup", err=True)
    done = _restored(config, source, tombstones or [])
    if as_json:
        said = {"rows": done.rows, "objects": done.objects, "deleted": done.deleted, "ended": done.ended}
        typer.echo(json.dumps(said))
        return
    typer.echo(f"{config.data_dir}: {done.rows} rows and {done.objects} sealed objects restored")
    typer.echo(f"{done.deleted} rows deleted again; {done.ended} faxes that were under way have ended")


@app.command("tombstones")
def tombstones_of(
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Where the log goes.")],
    config_file: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Write down what has been deleted so far, of every node: for a restore to delete it again."""
    config = load(config_file, data_dir=data)
    _refuse_missing(config)
    count = _with_database(config, lambda urls: _export(urls, config, to))
    typer.echo(f"{to}: {count} tombstones")


@app.command("new-key")
def new_key(
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Where the secret key goes; keep it elsewhere.")],
) -> None:
    """Make a pair of keys of age, and print the public one."""
    from faxgw.backup.agekeys import new_identity  # noqa: PLC0415

    typer.echo(new_identity(to))


def _refuse_missing(config: Config) -> None:
    if not config.server_keys.is_dir():
        raise RequestError("data.folder", f"{config.data_dir} is no data directory of a gateway.")


def _source(path: Path, identity: Path, signer: str | None) -> Any:
    from faxgw.backup.agekeys import identities  # noqa: PLC0415
    from faxgw.backup.manifest import read_key  # noqa: PLC0415
    from faxgw.backup.restoring import Source  # noqa: PLC0415

    return Source(path, identities(identity), read_key(signer) if signer else None)


def _restored(config: Config, source: Any, logs: list[Path]) -> Any:
    """Restore beside the place, and move it there when it is whole; what a broken restore left is made anew."""
    from faxgw.backup import restoring  # noqa: PLC0415
    from faxgw.backup.noting import note  # noqa: PLC0415
    from faxgw.service import open_objects  # noqa: PLC0415

    manifest = restoring.verify(source)
    restoring.refuse_newer(manifest)
    making = config.data_dir.with_name(f"{config.data_dir.name}.restoring")
    shutil.rmtree(making, ignore_errors=True)
    make_folder(making)
    there = config.model_copy(update={"data_dir": making, "server_keys": making / "server_keys"})
    restoring.restore_files(source, making)

    def work(urls: "Urls") -> Any:
        with asyncio.Runner() as runner:
            done = restoring.restore(
                source, manifest, data_dir=making, urls=urls, store=open_objects(there), logs=logs, run=runner.run
            )
            said = {"made_at": manifest["created_at"], "deleted": done.deleted, "ended": done.ended}
            runner.run(note(urls, "backup.restored", said))
            return done

    done = _with_database(there, work)
    if config.data_dir.exists():
        config.data_dir.rmdir()
    making.rename(config.data_dir)
    return done


def _export(urls: "Urls", config: Config, to: Path) -> int:
    from faxgw.backup.tombstones import exported  # noqa: PLC0415
    from faxgw.keys.tokens import ServerKeys  # noqa: PLC0415
    from faxgw.store.database import Database  # noqa: PLC0415
    from faxgw.store.migrating import migrate  # noqa: PLC0415

    async def export() -> int:
        await migrate(urls.owner, ServerKeys(config.server_keys).values)
        database = Database(urls, seals=None, pool=1)
        count = 0
        try:
            with to.open("x") as file:
                async with database.dispatcher(within=3600.0) as connection:
                    async for each in exported(connection):
                        file.write(each)
                        count += 1
        except FileExistsError as error:
            raise RequestError("usage", f"{to} is there already; name a new file.") from error
        finally:
            await database.close()
        return count

    return asyncio.run(export())


def _with_database(config: Config, work: "Callable[[Urls], Any]") -> Any:
    """Do work with the database of a gateway that runs or not, in a thread: its server is watched by the loop."""
    from faxgw.service import database_of  # noqa: PLC0415
    from faxgw.store.server import urls_for_another_node  # noqa: PLC0415

    async def run() -> Any:
        async with database_of(config) as (urls, _server):
            return await asyncio.to_thread(work, urls)

    with logging_to(LogSettings(level="warning")):
        try:
            return asyncio.run(run())
        except RequestError as error:
            if error.code != "database.in_use":
                raise
        return work(urls_for_another_node(config.data_dir / "postgres"))


def _config_file(given: Path | None) -> Path | None:
    from faxgw.config.reading import FILE_VARIABLE  # noqa: PLC0415

    named = os.environ.get(FILE_VARIABLE)
    return given or (Path(named) if named else None)
