"""Which task runs when, in the clock's own hours (UTC); each on one node at a time, and not twice for one time."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta

import structlog
from procrastinate import Blueprint, JobContext

from faxgw.audit.checkpoints import sign_all
from faxgw.boxes import grants
from faxgw.delivery import setting_up
from faxgw.escrow import overdue
from faxgw.gateway import Gateway
from faxgw.links.ending import end_expired
from faxgw.notices import due
from faxgw.people.challenges import forget_spent
from faxgw.people.codes import delete_old_codes
from faxgw.people.sessions import delete_over
from faxgw.people.throttle import forget_old
from faxgw.retention import erasing, purging, returning
from faxgw.tasks.retrying import AGAIN
from faxgw.upkeep import ageing, leftovers, spooling, uploads

log = structlog.get_logger(__name__)

TIMETABLE = {
    "uploads": "*/10 * * * *",
    "spool_keys": "12 * * * *",
    "answers": "27 * * * *",
    "checkpoints": "*/5 * * * *",
    "leftovers": "41 */6 * * *",
    "events": "52 3 * * *",
    "sessions": "3-59/5 * * * *",
    "retention": "7-59/10 * * * *",
    "grants": "*/5 * * * *",
    "escrow": "1-59/5 * * * *",
    "notices": "23 6 * * *",
    "links": "4-59/5 * * * *",
}
"""Task -> when (minute, hour, day, month, weekday)."""


async def delete_uploads(gateway: Gateway, now: datetime) -> None:
    """Delete documents and page sets that have expired, and what lay too long in devices' folders."""
    done = await uploads.delete_expired_uploads(gateway.database, gateway.objects, now=now)
    dropped = await ageing.delete_old_drops(gateway.database, now=now)
    if done or dropped:
        log.info("expired uploads deleted", uploads=done, drops=dropped)


async def move_spool_keys(gateway: Gateway, now: datetime) -> None:
    """Move live spool wraps to the present hour, and destroy the keys of hours that are over."""
    await spooling.delete_left_wraps(gateway.database, now=now)
    destroyed = await spooling.move_on(gateway.database, gateway.spool)
    if destroyed:
        log.info("spool keys destroyed", hours=destroyed)


async def delete_answers(gateway: Gateway, now: datetime) -> None:
    """Delete idempotency keys, what devices handed in, and counters that are over."""
    answers = await ageing.delete_old_answers(gateway.database, now=now)
    handed = await ageing.delete_old_submissions(gateway.database, now=now)
    counters = await ageing.delete_old_counters(gateway.database, now=now)
    if answers or handed or counters:
        log.info("old answers and counters deleted", answers=answers, submissions=handed, counters=counters)


async def sign_audit_logs(gateway: Gateway, now: datetime) -> None:
    """Sign the audit logs that have grown."""
    done = await sign_all(gateway.database, gateway.server_keys, now=now)
    if done:
        log.debug("audit logs signed", logs=done)


async def delete_sessions(gateway: Gateway, now: datetime) -> None:
    """Delete sessions that are over, and with them their slots; and codes and failures that count no more."""
    async with gateway.database.dispatcher() as connection:
        done = await delete_over(connection, now=now)
        await forget_old(connection, now=now)
        await forget_spent(connection, now=now)
        await delete_old_codes(connection, now=now)
    if done:
        log.info("sessions that are over deleted", sessions=done)


async def delete_leftovers(gateway: Gateway, now: datetime) -> None:
    """Delete objects that nothing names."""
    done = await leftovers.delete_leftovers(gateway.database, gateway.objects.objects, now=now)
    if done:
        log.info("objects that nothing names deleted", objects=done)


async def delete_events(gateway: Gateway, now: datetime) -> None:
    """Delete the events of ended faxes and the parcels that are over, and what calls long ago have shown."""
    keep = timedelta(days=gateway.config.storage.keep_events_days)
    done = await ageing.delete_old_events(gateway.database, now=now, keep=keep)
    parcels = await ageing.delete_old_parcels(gateway.database, now=now, keep=keep)
    forgotten = await ageing.forget_machines(gateway.database, now=now)
    async with gateway.database.dispatcher() as connection:
        await setting_up.forget_retired(connection)
    if done or forgotten or parcels:
        log.info("old events deleted", events=done, machines=forgotten, parcels=parcels)


async def keep_to_retention(gateway: Gateway, now: datetime) -> None:
    """Shred what is due by the rules of retention, go on with erasures that had to wait, have old copies deleted."""
    done = await purging.purge(gateway, now=now)
    if done:
        log.info("faxes purged", faxes=done)
    await erasing.go_on(gateway, now=now)
    async with gateway.database.dispatcher() as connection:
        back = await returning.take_back_expired(connection, now=now)
    if back:
        log.info("copies whose time is up are deleted where they lie", copies=back)


async def end_grants(gateway: Gateway, now: datetime) -> None:
    """Take away the keys that went with rights that have expired."""
    done = await grants.end_expired(gateway, now=now)
    if done:
        log.info("grants expired", grants=done)


async def end_escrow_requests(gateway: Gateway, now: datetime) -> None:
    """End requests for emergency access that nobody has opened in time, and forget those that ended long ago."""
    done = await overdue.end_requests(gateway, now=now)
    if done:
        log.info("requests for emergency access expired", requests=done)


async def tell_what_is_due(gateway: Gateway, now: datetime) -> None:
    """Tell of certificates that are about to expire, and of what retention deletes."""
    await due.tell_what_is_due(gateway, now=now)


async def end_links(gateway: Gateway, now: datetime) -> None:
    """End links that have expired: they open nothing by then, and now nothing is left to open."""
    done = await end_expired(gateway.database, now=now)
    if done:
        log.info("links expired", links=done)


Work = Callable[[Gateway, datetime], Awaitable[None]]

WORK: Mapping[str, Work] = {
    "uploads": delete_uploads,
    "spool_keys": move_spool_keys,
    "answers": delete_answers,
    "checkpoints": sign_audit_logs,
    "sessions": delete_sessions,
    "leftovers": delete_leftovers,
    "events": delete_events,
    "retention": keep_to_retention,
    "grants": end_grants,
    "escrow": end_escrow_requests,
    "notices": tell_what_is_due,
    "links": end_links,
}


def tasks(work: Mapping[str, Work] = WORK) -> Blueprint:
    """Return the tasks of the timetable, for one app."""
    found = Blueprint()
    for name, cron in TIMETABLE.items():
        _add(found, name, cron, work[name])
    return found


def _add(blueprint: Blueprint, name: str, cron: str, work: Work) -> None:
    lock = f"upkeep:{name}"

    @blueprint.periodic(cron=cron)
    @blueprint.task(name=name, retry=AGAIN, pass_context=True, queueing_lock=lock, lock=lock)
    async def run(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 (procrastinate gives it)
        await work(context.additional_context["gateway"], datetime.now(UTC))
        if name == "events":
            await _delete_failed_jobs(context)


async def _delete_failed_jobs(context: JobContext) -> None:
    await context.app.job_manager.delete_old_jobs(
        nb_hours=ageing.FAILED_JOBS_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
    )
