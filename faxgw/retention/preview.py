"""What a change of the rules would do, before it is made; and what is laid down for every box, as records of it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.faxes.policies import tenant_of
from faxgw.retention.holding import is_held
from faxgw.retention.rules import BoxRule, Due, box_rules, records_due
from faxgw.rules.policy import TenantPolicy
from faxgw.rules.retention import KINDS, RetentionPolicy
from faxgw.store.tables import boxes, delivery_rules, faxes, numbers, targets, webhooks

SAFEGUARDS = (
    "sealed with AES-256-GCM under a key of its own for every object, wrapped to its owner",
    "each tenant behind row-level security of its own",
    "TLS 1.2 or later for every connection",
    "an audit log that anybody can check",
    "deletion by destroying keys, with certificates",
)

FINDINGS = {
    "unclassified": "Give the box a data class.",
    "no_purpose": "Say what the box is for.",
    "no_lawful_basis": "Say by what right its data are processed.",
    "no_rule_of_class": "The policy has no rule for this data class: add it to retention.classes.",
}
"""What may be missing -> what to do."""


async def preview(
    connection: AsyncConnection, tenant_id: UUID, wanted: TenantPolicy, *, now: datetime
) -> dict[str, Any]:
    """Say what a tenant's policy would purge if it were this one; the transaction cannot change anything any more."""
    await connection.exec_driver_sql("SET TRANSACTION READ ONLY")
    present = (await tenant_of(connection, tenant_id)).policy
    before = {each.box_id: each for each in await box_rules(connection, tenant_id, present.retention)}
    after = await box_rules(connection, tenant_id, wanted.retention)
    items = [await _of_box(connection, before[each.box_id], each, now) for each in after]
    times = [each["oldest"] for each in items if each["oldest"]]
    totals = {name: sum(each[name] for each in items) for name in ("faxes", "held")}
    totals["records"] = await _records(connection, tenant_id, wanted.retention, now)
    return {**totals, "oldest": min(times, default=None), "boxes": items}


async def _records(connection: AsyncConnection, tenant_id: UUID, policy: RetentionPolicy, now: datetime) -> int:
    """Count the minimal records that would go."""
    due = records_due(policy, now=now)
    if due is None:
        return 0
    found = (
        select(func.count()).select_from(faxes).where(faxes.c.tenant_id == tenant_id, due.condition(now), ~is_held())
    )
    return int((await connection.execute(found)).scalar_one())


async def _of_box(connection: AsyncConnection, before: BoxRule, after: BoxRule, now: datetime) -> dict[str, Any]:
    faxes_before, _, _ = await _counted(connection, before, now)
    count, held, oldest = await _counted(connection, after, now)
    return {
        "box": after.box_id,
        "name": after.name,
        "days_before": before.days,
        "days_after": after.days,
        "rule": after.rule,
        "faxes": count,
        "faxes_before": min(count, faxes_before),
        "held": held,
        "oldest": oldest,
    }


async def _counted(connection: AsyncConnection, rule: BoxRule, now: datetime) -> tuple[int, int, datetime | None]:
    """Return how many faxes of a box are due by its rule, how many more are but for a hold, and the oldest's time."""
    if rule.days is None:
        return 0, 0, None
    due = Due("retention", rule.rule, (rule.box_id,), now - timedelta(days=rule.days))
    free = ~is_held()
    counts = (func.count().filter(free), func.count().filter(~free), func.min(faxes.c.created_at).filter(free))
    row = (await connection.execute(select(*counts).select_from(faxes).where(due.condition(now)))).one()
    return row[0], row[1], row[2]


async def processing_records(connection: AsyncConnection, tenant_id: UUID, *, now: datetime) -> dict[str, Any]:
    """Return the records of processing of a tenant, from its configuration as it is, and what they lack."""
    tenant = await tenant_of(connection, tenant_id)
    rules = {each.box_id: each for each in await box_rules(connection, tenant_id, tenant.policy.retention)}
    leads = func.array_agg(numbers.c.number).filter(numbers.c.number.is_not(None))
    found = (
        select(boxes, leads.label("numbers"))
        .outerjoin(numbers, numbers.c.box_id == boxes.c.id)
        .where(boxes.c.tenant_id == tenant_id)
        .group_by(boxes.c.id)
        .order_by(boxes.c.id)
    )
    rows = (await connection.execute(found)).mappings().all()
    recipients, delivered = (
        await _recipients(connection, tenant_id, tenant.policy),
        await _targets(connection, tenant_id),
    )
    items = [
        _record(row, rules[row["id"]], tenant.policy, [*recipients, *delivered.get(row["id"], ())]) for row in rows
    ]
    findings = [
        {"box": each["box"], "code": code, "text": FINDINGS[code]}
        for each in items
        for code in _missing(each, tenant.policy)
    ]
    return {"at": now, "tenant": tenant.name, "items": items, "findings": findings}


def _record(row: Mapping[Any, Any], rule: BoxRule, policy: TenantPolicy, recipients: list[str]) -> dict[str, Any]:
    known = policy.retention.classes.get(row["data_class"])
    return {
        "box": row["id"],
        "name": row["name"],
        "owner": row["owner_id"],
        "numbers": sorted(row["numbers"] or []),
        "data_class": row["data_class"],
        "personal": known.personal if known else False,
        "purpose": row["purpose"],
        "lawful_basis": row["lawful_basis"],
        "retention_days": rule.days,
        "rule": rule.rule,
        "storage": policy.storage,
        "recipients": recipients,
        "safeguards": list(SAFEGUARDS),
    }


async def _recipients(connection: AsyncConnection, tenant_id: UUID, policy: TenantPolicy) -> list[str]:
    declared = policy.retention.declared
    named = [f"{kind}: {declared[kind]} days" for kind in KINDS if kind in declared]
    urls = select(webhooks.c.url).where(webhooks.c.tenant_id == tenant_id, webhooks.c.enabled).order_by(webhooks.c.id)
    return [*named, *(f"webhook: {url}" for url in (await connection.execute(urls)).scalars())]


async def _targets(connection: AsyncConnection, tenant_id: UUID) -> dict[UUID, list[str]]:
    """Return of each box whom it delivers to, by its rules."""
    leads = select(delivery_rules.c.box_id, targets.c.name, targets.c.kind, targets.c.settings)
    leads = leads.join(targets, targets.c.id == delivery_rules.c.target_id)
    found: dict[UUID, list[str]] = {}
    for row in await connection.execute(leads.where(delivery_rules.c.tenant_id == tenant_id).order_by(targets.c.id)):
        settings = row.settings
        place = next((settings[each] for each in ("address", "host", "bucket", "folder") if settings.get(each)), "")
        listed = found.setdefault(row.box_id, [])
        if (said := f"{row.kind}: {row.name} ({place})") not in listed:
            listed.append(said)
    return found


def _missing(record: Mapping[str, Any], policy: TenantPolicy) -> list[str]:
    lacks = {
        "unclassified": not record["data_class"],
        "no_purpose": not record["purpose"],
        "no_lawful_basis": not record["lawful_basis"],
        "no_rule_of_class": record["data_class"] and record["data_class"] not in policy.retention.classes,
    }
    return [code for code, lacking in lacks.items() if lacking]
