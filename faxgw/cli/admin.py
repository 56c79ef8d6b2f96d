"""``faxgw admin``: the first set-up, and what the keeper of a database needs to know."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from faxgw.cli.serve import ConfigOption, DataOption
from faxgw.config import Config, load
from faxgw.config.model import LogSettings
from faxgw.data_folder import make_folder
from faxgw.errors import RequestError
from faxgw.logs import logging_to

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from faxgw.keys.tokens import ServerKeys
    from faxgw.store.roles import Urls

    Work = Callable[[AsyncConnection, ServerKeys], Awaitable[dict[str, str]]]

app = typer.Typer(
    help="Set up tenants and databases.", add_completion=False, rich_markup_mode=None, no_args_is_help=True
)


@app.command()
def init(
    tenant: Annotated[str, typer.Option("--tenant", metavar="NAME", help="Name of the tenant.", show_default=False)],
    owner: Annotated[
        str, typer.Option("--owner", metavar="EMAIL", help="Who owns it and has every right.", show_default=False)
    ],
    password_env: Annotated[
        str | None,
        typer.Option(
            "--password-env", metavar="VAR", help="Environment variable with the owner's password; else asked."
        ),
    ] = None,
    config_file: ConfigOption = None,
    data: DataOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Make a tenant with its owner, a box and an API key, with the service running or not.

    The API key and the recovery code are shown this once. Whoever has an account already gives its password, and keeps
    its recovery code.
    """
    config = load(config_file, data_dir=data)
    password = _password(password_env)
    make_folder(config.data_dir)
    with logging_to(LogSettings(level="warning")):
        made = asyncio.run(_init(config, tenant=tenant, owner=owner, password=password))
    if as_json:
        typer.echo(json.dumps(made))
    else:
        for name, value in made.items():
            typer.echo(f"{name.replace('_', ' '):14} {value}")
        typer.echo("The API key and the recovery code are shown this once: keep them in a safe place.", err=True)


@app.command("add-user")
def add_user(
    tenant: Annotated[str, typer.Option("--tenant", metavar="NAME", help="Name of the tenant.", show_default=False)],
    email: Annotated[str, typer.Option("--email", metavar="EMAIL", help="Whom to invite.", show_default=False)],
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help="owner, admin or member.")] = "member",
    config_file: ConfigOption = None,
    data: DataOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Invite somebody into a tenant, with the service running or not; they come in by the set-up code."""
    from faxgw.setup import make_invitation  # noqa: PLC0415

    work = partial(make_invitation, tenant=tenant, email=email, role=role, now=datetime.now(UTC))
    _print_code(_done(config_file, data, work), as_json=as_json)


@app.command("reset-user")
def reset_user(
    email: Annotated[str, typer.Option("--email", metavar="EMAIL", help="Who it is.", show_default=False)],
    config_file: ConfigOption = None,
    data: DataOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Let somebody set a password anew by a set-up code, also where they belong to several tenants.

    It opens no fax: without their recovery code, what is sealed to them stays locked until they give an older secret.
    """
    from faxgw.setup import reset_person  # noqa: PLC0415

    work = partial(reset_person, email=email, now=datetime.now(UTC))
    _print_code(_done(config_file, data, work), as_json=as_json)


@app.command("database-sql")
def database_sql() -> None:
    """Print what the administrator of your own PostgreSQL runs once, and the settings that go with it.

    The passwords in the settings are new each time; the SQL has only what checks them.
    """
    from faxgw.store.roles import APP, DISPATCHER, OWNER, Passwords, administrator_sql  # noqa: PLC0415

    passwords = Passwords.generated()
    roles = {
        "url": (APP, passwords.app),
        "owner_url": (OWNER, passwords.owner),
        "dispatcher_url": (DISPATCHER, passwords.dispatcher),
    }
    typer.echo("-- For the configuration file of each node, with your HOST:\n--\n-- [database]")
    for setting, (role, password) in roles.items():
        typer.echo(f'-- {setting} = "postgresql://{role}:{password}@HOST/faxgw?sslmode=verify-full"')
    typer.echo(f"\n{administrator_sql(passwords)}", nl=False)


@app.command("database-urls")
def database_urls(config_file: ConfigOption = None, data: DataOption = None) -> None:
    """Print the settings with which a second node on this machine shares the private PostgreSQL of a first one."""
    from faxgw.store.server import urls_for_another_node  # noqa: PLC0415

    urls = urls_for_another_node(_postgres(load(config_file, data_dir=data)))
    typer.echo("[database]")
    for name, url in (("url", urls.app), ("owner_url", urls.owner), ("dispatcher_url", urls.dispatcher)):
        typer.echo(f'{name} = "{url}"')


def _done(config_file: Path | None, data: Path | None, work: "Work") -> dict[str, str]:
    with logging_to(LogSettings(level="warning")):
        return asyncio.run(_in_database(load(config_file, data_dir=data), work))


def _print_code(made: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(made))
        return
    for name, value in made.items():
        typer.echo(f"{name.replace('_', ' '):14} {value}")
    typer.echo("The set-up code is shown this once, and is good for once: POST /v1/people:set-up.", err=True)


async def _init(config: Config, *, tenant: str, owner: str, password: str) -> dict[str, str]:
    from faxgw.setup import make_tenant  # noqa: PLC0415

    async def make(connection: "AsyncConnection", keys: "ServerKeys") -> dict[str, str]:
        made = await make_tenant(connection, keys, name=tenant, email=owner, password=password, lines=config.lines)
        return made.as_json()

    return await _in_database(config, make)


async def _in_database(config: Config, work: "Work") -> dict[str, str]:
    """Do something in one transaction of the dispatcher, with the service running or not."""
    from faxgw.keys.tokens import ServerKeys  # noqa: PLC0415
    from faxgw.service import database_of  # noqa: PLC0415
    from faxgw.store.database import Database  # noqa: PLC0415
    from faxgw.store.migrating import migrate  # noqa: PLC0415
    from faxgw.store.server import urls_for_another_node  # noqa: PLC0415

    async def do(urls: "Urls") -> dict[str, str]:
        keys = ServerKeys(config.server_keys)
        await migrate(urls.owner, keys.values)
        database = Database(urls, seals=keys.values, pool=2)
        try:
            async with database.dispatcher() as connection:
                return await work(connection, keys)
        finally:
            await database.close()

    try:
        async with database_of(config) as (urls, _server):
            return await do(urls)
    except RequestError as error:
        if error.code != "database.in_use":
            raise
    # The service runs, and with it its PostgreSQL.
    return await do(urls_for_another_node(_postgres(config)))


def _postgres(config: Config) -> Path:
    return config.data_dir / "postgres"


def _password(variable: str | None) -> str:
    if variable is None:
        password: str = typer.prompt("Password of the owner", hide_input=True, confirmation_prompt=True)
        return password
    if not os.environ.get(variable):
        raise RequestError("usage", f"The variable {variable} is empty; put the owner's password into it.")
    return os.environ[variable]
