"""``faxgw serve``: everything started in its order, run side by side in one loop, and stopped politely."""

import asyncio
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import uuid4

import structlog
from sqlalchemy import func, select

from faxgw import metrics
from faxgw.archive.objects import ObjectStore, StoreError, open_store
from faxgw.archive.sealed import SealedStore
from faxgw.audit.sequencing import run_sequencer
from faxgw.config import Config
from faxgw.delivery.queue import SHOWN
from faxgw.documents import kernels
from faxgw.documents.pool import RendererPool
from faxgw.documents.renderer import WorkerLimits
from faxgw.errors import RequestError
from faxgw.faxes.drawer import run_drawer
from faxgw.gateway import Gateway
from faxgw.health import Degraded, Health, NotReady
from faxgw.keys.spool import SpoolKeys, SpoolUnavailable
from faxgw.keys.tokens import ServerKeys
from faxgw.keys.values import ValueBroken
from faxgw.lines.board import Board
from faxgw.lines.dispatcher import run_dispatcher
from faxgw.lines.ears import run_ears
from faxgw.lines.keeper import UNTRIED
from faxgw.lines.leases import recover, run_leases
from faxgw.lines.ringing import answer
from faxgw.model import State
from faxgw.private import private_listener
from faxgw.store.database import Database, DatabaseUnavailable
from faxgw.store.migrating import migrate
from faxgw.store.roles import Urls
from faxgw.store.server import PrivateServer
from faxgw.store.tables import boxes, faxes, parcels, wraps
from faxgw.tls import ServerTls
from t30.pages import USUAL_CODINGS

log = structlog.get_logger(__name__)

Work = Callable[[], Awaitable[object]]

GOODBYE_WITHIN = 10.0
"""Seconds that calls have to say goodbye when the service stops."""
STOPS_WITHIN = 10.0
"""Seconds that a part of the service has to stop."""


@asynccontextmanager
async def database_of(config: Config) -> AsyncGenerator[tuple[Urls, PrivateServer | None]]:
    """Give the database's URLs; where there are none in the configuration, a private PostgreSQL runs meanwhile.

    Raises:
        RequestError: ``database.*``, with the way out.
    """
    settings = config.database
    if settings.url and settings.owner_url and settings.dispatcher_url:
        given = (settings.owner_url, settings.url, settings.dispatcher_url)
        yield Urls(*(each.get_secret_value() for each in given)), None
        return
    async with PrivateServer(config.data_dir / "postgres") as server:
        yield server.urls, server


async def serve(config: Config, *, ready: Callable[[Gateway], None], stop: asyncio.Event) -> None:
    """Run the service until ``stop`` is set; ``ready`` is called once requests are answered.

    Raises:
        RequestError: if something that it needs is not there, with the way out.
    """
    loading = asyncio.create_task(asyncio.to_thread(_load_api))  # while the database starts
    async with AsyncExitStack() as stack:
        urls, server = await stack.enter_async_context(database_of(config))
        await migrate(urls.owner, server_keys_of(config).values)
        gateway = await stack.enter_async_context(open_gateway(config, urls))
        await check_values(gateway)
        if interrupted := await recover(gateway):
            log.warning("calls were interrupted when this node stopped", calls=interrupted)
        await _check_spool(gateway)
        health = Health()
        _register(health, gateway, server)
        await stack.enter_async_context(private_listener(config.private, health))
        requests = await stack.enter_async_context(_for_requests(gateway))
        await loading
        tls = ServerTls(config.api, config.data_dir)
        more = [*_drop_box(requests, health), *_submission(requests, health, tls)]
        await _run(gateway, requests, tls, more, ready=ready, stop=stop)


def _drop_box(gateway: Gateway, health: Health) -> list[Work]:
    """Return the drop box, if there is to be one."""
    if gateway.config.sftp.port is None:
        return []
    from faxgw.dropbox.server import DropBox  # noqa: PLC0415

    drop_box = DropBox(gateway)
    health.register("drop_box", drop_box.check)
    return [drop_box.run]


def _submission(gateway: Gateway, health: Health, tls: ServerTls) -> list[Work]:
    """Return the listeners for mail, if there are to be any; ``tls`` is the API's."""
    if not gateway.config.submission.enabled:
        return []
    from faxgw.mail.arriving.desk import Desk  # noqa: PLC0415
    from faxgw.mail.submission.server import SubmissionServer  # noqa: PLC0415

    server = SubmissionServer(gateway.config, Desk(gateway), tls)
    health.register("submission", server.health)
    return [server.serve, *([] if server.tls is tls else [server.tls.watch])]


@asynccontextmanager
async def _for_requests(gateway: Gateway) -> AsyncGenerator[Gateway]:
    """Give the API connections of its own: however many slow requests there are, a confirmation is written at once."""
    shared = gateway.database
    database = Database(shared.urls, seals=shared.seals, pool=gateway.config.database.pool)
    async with AsyncExitStack() as closing:
        closing.push_async_callback(database.close)
        closing.push_async_callback(gateway.afterwards.finish)
        yield replace(gateway, database=database)


async def _run(
    gateway: Gateway,
    requests: Gateway,
    tls: ServerTls,
    more: Sequence[Work],
    *,
    ready: Callable[[Gateway], None],
    stop: asyncio.Event,
) -> None:
    from faxgw import api  # noqa: PLC0415
    from faxgw.advisories import telling  # noqa: PLC0415
    from faxgw.tasks.service import run_worker  # noqa: PLC0415

    started = asyncio.Event()

    async def serve_api() -> None:
        await api.serve(requests, api.create_app(requests), tls=tls, started=lambda _port: started.set())
        raise RuntimeError("the listener of the API ended by itself")

    loaded = asyncio.Event()
    later: list[Work] = [
        partial(_load_kernels, gateway, loaded),
        *(partial(_after, loaded, work) for work in telephony(gateway)),
        partial(run_worker, gateway),
        partial(run_sequencer, gateway),
        partial(_count, gateway),
        metrics.sample_loop_lag,
        tls.watch,
        partial(telling.watch, gateway),
        *more,
    ]
    works: list[Work] = [serve_api, *(partial(_after, started, work) for work in later)]

    async def until() -> None:
        await started.wait()
        ready(gateway)
        await stop.wait()
        await _say_goodbye(gateway)

    await run_all(works, until)


def telephony(gateway: Gateway) -> list[Work]:
    """Return what draws and calls and answers, to be run side by side."""
    return [
        partial(gateway.board.run, partial(answer, gateway)),
        partial(gateway.board.show, gateway.database),
        partial(run_dispatcher, gateway),
        partial(run_leases, gateway),
        partial(run_ears, gateway),
        partial(run_drawer, gateway),
    ]


async def run_all(
    works: Sequence[Work], until: Callable[[], Awaitable[object]], *, patience: float = STOPS_WITHIN
) -> None:
    """Run works side by side until ``until`` is over, then cancel them. One that fails ends them all.

    What has not ended ``patience`` seconds after it was cancelled is cancelled again: the service does stop.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_done(work), name=_name(work)) for work in works]
        await until()
        while left := [task for task in tasks if not task.done()]:
            for task in left:
                task.cancel()
            _, late = await asyncio.wait(left, timeout=patience)
            if late:
                log.warning("parts of the service take long to stop", parts=sorted(each.get_name() for each in late))


def _name(work: Work) -> str:
    while isinstance(work, partial):
        work = work.args[1] if work.func is _after else work.func
    return getattr(work, "__qualname__", repr(work))


async def _after(started: asyncio.Event, work: Work) -> None:
    """Do what can wait until requests are taken."""
    await started.wait()
    await work()


async def _done(work: Work) -> None:
    await work()


async def _say_goodbye(gateway: Gateway) -> None:
    """End the calls on the lines, and let what they came to be written down."""
    for call in list(gateway.calls):
        call.hang_up("the gateway is being stopped")
    try:
        async with asyncio.timeout(GOODBYE_WITHIN):
            while gateway.calls:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    except TimeoutError:
        log.warning("calls did not end in time", calls=len(gateway.calls))


@asynccontextmanager
async def open_gateway(config: Config, urls: Urls) -> AsyncGenerator[Gateway]:
    """Put the parts of a gateway together; nothing runs yet.

    Raises:
        RequestError: if its keys or its store cannot be used.
    """
    server_keys = server_keys_of(config)
    store = open_objects(config)
    limits = WorkerLimits(seconds=config.rendering.seconds, memory=config.rendering.memory)
    node, call_bell = _node_id(config.data_dir), asyncio.Event()
    gateway = Gateway(
        config=config,
        node=node,
        database=Database(urls, seals=server_keys.values, pool=config.database.pool),
        objects=SealedStore(store),
        spool=SpoolKeys(config.spool_keys),
        server_keys=server_keys,
        renderers=RendererPool(config.rendering.workers, limits),
        call_renderers=RendererPool(1, limits),
        board=Board(config, node=node, bell=call_bell),
        call_bell=call_bell,
    )
    gateway.not_receiving = partial(_not_receiving, gateway)
    async with AsyncExitStack() as closing:
        closing.push_async_callback(gateway.call_renderers.close)
        closing.push_async_callback(gateway.renderers.close)
        closing.push_async_callback(gateway.database.close)
        closing.push_async_callback(gateway.afterwards.finish)
        closing.push_async_callback(_close_mail, gateway)
        yield gateway


async def _close_mail(gateway: Gateway) -> None:
    """End the connections to mail hosts that are kept for the next mail."""
    if gateway.postman is not None:
        await gateway.postman.close()


def server_keys_of(config: Config) -> ServerKeys:
    """Open the server's own keys, made if there are none yet.

    Raises:
        RequestError: ``keys.*``.
    """
    config.data_dir.mkdir(parents=True, exist_ok=True)
    return ServerKeys(config.server_keys)


def open_objects(config: Config) -> ObjectStore:
    """Open the store of sealed objects.

    Raises:
        RequestError: ``archive.location`` if there can be none.
    """
    options = {name: value.get_secret_value() for name, value in config.objects.options.items()}
    return open_store(_location(config), options=options)


def _location(config: Config) -> str | Path:
    """Return where sealed objects lie: a folder, which a URL may name, or a bucket."""
    url = config.objects.url
    if url.startswith("file://"):
        return Path(url.removeprefix("file://"))
    return url or config.data_dir / "objects"


def _node_id(data_dir: Path) -> str:
    """Return this node's id: made on the first start and kept, so that a restarted node knows its own leases."""
    path = data_dir / "node"
    if not path.exists():
        new = path.with_suffix(".new")
        new.write_text(uuid4().hex + "\n")
        new.replace(path)
    return path.read_text().strip()


def _load_api() -> None:
    """Import what takes its time, and is not needed before the database is there."""
    from faxgw import api  # noqa: F401, PLC0415
    from faxgw.tasks import service  # noqa: F401, PLC0415


async def _load_kernels(gateway: Gateway, loaded: asyncio.Event) -> None:
    """Load what is compiled, which takes some seconds after installation: calls are made and taken only then."""
    codings = USUAL_CODINGS.union(*(line.station().codings for line in gateway.config.lines))
    kernels.keep_in(gateway.config.data_dir)
    await asyncio.to_thread(kernels.load, codings)
    loaded.set()


async def _check_spool(gateway: Gateway) -> None:
    """Refuse to start without the keys of what waits to be sent.

    Raises:
        RequestError: ``keys.spool_missing``.
    """
    async with gateway.database.dispatcher() as connection:
        epochs = (await connection.execute(select(wraps.c.key_id).where(wraps.c.kind == "spool").distinct())).scalars()
        gateway.spool.require(list(epochs))


async def check_values(gateway: Gateway) -> None:
    """Refuse to start with keys that do not open the personal values in the database: nothing could be shown or called.

    Raises:
        RequestError: ``keys.values``.
    """
    try:
        async with gateway.database.dispatcher() as connection:
            await connection.scalar(select(boxes.c.name).limit(1))
    except ValueBroken:
        folder = gateway.config.server_keys
        reason = (
            f"The keys in {folder} are not those of this database: put those back that were there, or are in a backup."
        )
        raise RequestError("keys.values", reason) from None


# ------------------------------------------------------------------------------------------------------------- health


def _register(health: Health, gateway: Gateway, server: PrivateServer | None) -> None:
    async def database() -> str:
        fault = (server.fault if server else None) or await gateway.database.fault()
        if fault:
            raise NotReady(f"The database cannot be used: {fault}")
        return "The database answers."

    async def lines() -> str:
        keepers = gateway.board.keepers.values()
        down = [each for each in keepers if each.state == "down" and each.fault != UNTRIED]
        faults = "; ".join(f"{each.settings.name}: {each.fault}" for each in down)
        if down and len(down) == len(keepers):
            raise NotReady(f"No line can be used: {faults}")
        usable = sum(each.state != "down" for each in keepers)
        return f"{usable} of {len(keepers)} lines can be used" + (f"; down: {faults}" if down else ".")

    async def disk() -> str:
        if fault := await disk_fault(gateway):
            raise NotReady(fault)
        return "There is room for more faxes."

    async def spool() -> str:
        try:
            gateway.spool.current()
        except SpoolUnavailable as fault:
            raise NotReady(str(fault)) from fault
        return "The spool keys can be used."

    async def version() -> str:
        if (state := gateway.advisories.state).is_degraded:
            raise Degraded(state.text)
        return state.text

    health.register("database", database)
    health.register("lines", lines)
    health.register("disk", disk)
    health.register("spool_keys", spool)
    health.register("version", version)


async def disk_fault(gateway: Gateway) -> str | None:
    """Return why nothing new should be taken for want of space, if so: in the data directory, or in the archive."""
    config = gateway.config
    usage = await asyncio.to_thread(shutil.disk_usage, config.data_dir)
    metrics.FREE_SPACE.set(usage.free)
    try:
        archive = await gateway.objects.objects.free_space()
    except StoreError as trouble:
        return str(trouble)
    for place, space in (("data directory", usage), ("archive", archive)):
        if space is not None and space.free < (keep := config.storage.keep_free(space.total)):
            free, wanted = space.free >> 20, keep >> 20
            return f"The disk of the {place} has {free} MiB left, and {wanted} MiB are kept free: make room."
    return None


async def _not_receiving(gateway: Gateway) -> str | None:
    """Say why no call should be answered now: a page that cannot be made durable could not be confirmed."""
    return await disk_fault(gateway) or await gateway.database.fault()


async def _count(gateway: Gateway) -> None:
    """Keep the metrics of lines and queues true."""
    while True:
        for name in ("idle", "busy", "down"):
            metrics.LINES.labels(name).set(sum(each.state == name for each in gateway.board.keepers.values()))
        try:
            async with gateway.database.dispatcher() as connection:
                waiting = faxes.c.finished_at.is_(None)
                counted = select(faxes.c.state, func.count().label("faxes")).where(waiting).group_by(faxes.c.state)
                found = {row.state: row.faxes for row in await connection.execute(counted)}
                carried = select(parcels.c.state, func.count()).where(parcels.c.state.in_(SHOWN))
                there = {row[0]: row[1] for row in await connection.execute(carried.group_by(parcels.c.state))}
            for state in State:
                if not state.final:
                    metrics.QUEUE.labels(state.value).set(found.get(state.value, 0))
            for name in SHOWN:
                metrics.PARCELS_OPEN.labels(name).set(there.get(name, 0))
        except DatabaseUnavailable:
            log.debug("queues were not counted: the database is away")
        await asyncio.sleep(15.0)
