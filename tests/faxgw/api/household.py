"""One of everything that somebody may have, under the names that the addresses of the API use."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert

from faxgw.boxes.keys import sealing_key
from faxgw.faxes.sealed import write_down
from faxgw.gateway import Gateway
from faxgw.ids import new_id
from faxgw.keys.wraps import KeyPair, Suite
from faxgw.people.sessions import begin_session
from faxgw.store.tables import (
    attempts,
    batches,
    boxes,
    certificates,
    confirmations,
    deliveries,
    delivery_rules,
    destinations,
    devices,
    documents,
    erasures,
    escrow_answers,
    escrow_requests,
    escrow_trustees,
    escrows,
    forwarding_rules,
    grants,
    holds,
    links,
    machines,
    number_rules,
    numbers,
    parcels,
    passkeys,
    people,
    routes,
    targets,
    users,
    webhooks,
)
from tests.faxgw.api.people import Person, add_event, add_fax, add_key, add_pages, drawn_page

DESTINATION = "+15550100"


async def furnish(gateway: Gateway, person: Person) -> dict[str, Any]:
    """Give a person one of everything; return parameter of addresses -> id."""
    page_set = await add_pages(gateway, person, [drawn_page(1)])
    batch = new_id()
    ids: dict[str, Any] = {
        "page_set_id": page_set,
        "n": 1,
        "batch_id": batch,
        "box_id": person.box_id,
        "number": DESTINATION,
    }
    ids["document_id"] = await _document(gateway, person)
    async with gateway.database.tenant(person.tenant_id) as connection:
        mine = {"tenant_id": person.tenant_id}
        await connection.execute(insert(batches).values(id=batch, user_id=person.user_id, size=1, **mine))
        ids["number_id"] = new_id()
        row = {"id": ids["number_id"], "number": f"+1{person.user_id.int % 10**10}", "box_id": person.box_id, **mine}
        await connection.execute(insert(numbers).values(row))
        ids["rule_id"] = new_id()
        rule = {"id": ids["rule_id"], "direction": "out", "action": "deny", "pattern": "+4990*", **mine}
        await connection.execute(insert(number_rules).values(rule))
        ids["route_id"] = new_id()
        await connection.execute(insert(routes).values(id=ids["route_id"], prefix="+49", lines=["isdn"], **mine))
        await connection.execute(insert(destinations).values(number=DESTINATION, **mine))
        ids["machine_id"] = new_id()
        met = {"id": ids["machine_id"], "direction": "out", "number": DESTINATION, **mine}
        await connection.execute(insert(machines).values(met))
    ids |= await _shared_with(gateway, person)
    ids["request_id"] = await _in_escrow(gateway, person, ids)
    ids["fax_id"] = await add_fax(gateway, person, page_set_id=page_set, pages=1, batch_id=batch)
    await _called(gateway, person, ids["fax_id"])
    ids |= await _hooked(gateway, person, ids["fax_id"])
    ids["link_id"] = await _linked(gateway, person, ids["fax_id"])
    ids["device_id"] = await _device(gateway, person)
    ids |= await _delivered(gateway, person, ids["fax_id"])
    ids |= await _put_by(gateway, person)
    key = await add_key(gateway, person.tenant_id, person.user_id, scopes=["faxes:read"], key_pair=None)
    ids |= {"key_id": key.id, "user_id": person.user_id, "passkey_id": await _passkey(gateway)}
    return {**ids, "session_id": await _signed_in(gateway, person)}


async def _device(gateway: Gateway, person: Person) -> UUID:
    device = new_id()
    row: dict[str, Any] = {"id": device, "user_id": person.user_id, "box_id": person.box_id}
    row |= {"name": f"copier {device}", "login": f"fax-{device.hex}", "mac": device.bytes * 2}
    async with gateway.database.tenant(person.tenant_id) as connection:
        await connection.execute(insert(devices).values(tenant_id=person.tenant_id, **row))
    return device


async def _linked(gateway: Gateway, person: Person, fax_id: UUID) -> UUID:
    """Record a link, with a key of nobody's."""
    made = new_id()
    link: dict[str, Any] = {"id": made, "tenant_id": person.tenant_id, "fax_id": fax_id, "most": 3}
    link |= {
        "mac": made.bytes,
        "key_id": made.hex,
        "parameters": {},
        "blob": b"",
        "expires_at": datetime(2099, 1, 1, tzinfo=UTC),
    }
    async with gateway.database.tenant(person.tenant_id) as connection:
        await connection.execute(insert(links).values(link))
    return made


async def _delivered(gateway: Gateway, person: Person, fax_id: UUID) -> dict[str, Any]:
    """Record a target, a rule that leads there, and a fax that could not be delivered there."""
    ids = {"target_id": new_id(), "delivery_rule_id": new_id(), "parcel_id": new_id()}
    mine, target = {"tenant_id": person.tenant_id}, ids["target_id"]
    settings = {"kind": "mail", "address": f"{target}@example.com"}
    parcel = {"id": ids["parcel_id"], "kind": "fax", "fax_id": fax_id, "target_id": target, "key": f"{fax_id}:{target}"}
    async with gateway.database.tenant(person.tenant_id) as connection:
        row = {"id": target, "name": f"target {target}", "kind": "mail", "settings": settings}
        await connection.execute(insert(targets).values(**row, **mine))
        rule = {"id": ids["delivery_rule_id"], "box_id": person.box_id, "target_id": target}
        await connection.execute(insert(delivery_rules).values(**rule, **mine))
        await connection.execute(insert(parcels).values(**parcel, state="failed", code="delivery.refused", **mine))
    return ids


async def _passkey(gateway: Gateway) -> UUID:
    """Make a passkey of somebody who signs in for nobody here."""
    whose, passkey = new_id(), new_id()
    async with gateway.database.dispatcher() as connection:
        row = {"id": whose, "email": f"{whose}@example.com", "key_id": "", "public_key": b""}
        await connection.execute(insert(people).values(row))
        made = {"id": passkey, "person_id": whose, "credential_id": passkey.bytes, "public_key": b"", "sign_count": 0}
        await connection.execute(insert(passkeys).values(**made, name="telephone", backed_up=False))
    return passkey


async def _signed_in(gateway: Gateway, person: Person) -> UUID:
    async with gateway.database.dispatcher() as connection:
        token = await begin_session(
            connection,
            gateway.server_keys,
            person_id=person.person_id,
            key_pair=person.key_pair,
            user_id=person.user_id,
            second_factor=False,
            address="192.0.2.1",
            agent="a browser",
            now=datetime.now(UTC),
        )
    return token.id


async def _shared_with(gateway: Gateway, person: Person) -> dict[str, Any]:
    """Record a colleague with a grant, and a second box that faxes are forwarded to."""
    names = ("colleague_id", "other_box_id", "grant_id", "forwarding_rule_id")
    ids: dict[str, Any] = {name: new_id() for name in names}
    mine = {"tenant_id": person.tenant_id}
    user = {"id": ids["colleague_id"], "email": f"{ids['colleague_id']}@example.com", "role": "member"}
    public = KeyPair.generate(Suite.X25519).public
    async with gateway.database.tenant(person.tenant_id) as connection:
        await connection.execute(insert(users).values(**user, key_id=public.key_id, public_key=public.octets, **mine))
        box = {"id": ids["other_box_id"], "owner_id": person.user_id, "name": str(ids["other_box_id"])}
        await connection.execute(insert(boxes).values(**box, **mine))
        given = {"id": ids["grant_id"], "box_id": person.box_id, "user_id": user["id"], "rights": ["read", "manage"]}
        given["expires_at"] = datetime(2099, 1, 1, tzinfo=UTC)
        await connection.execute(insert(grants).values(**given, **mine))
        rule = {"id": ids["forwarding_rule_id"], "box_id": person.box_id, "to_box_id": box["id"]}
        await connection.execute(insert(forwarding_rules).values(**rule, **mine))
    return ids


async def _in_escrow(gateway: Gateway, person: Person, ids: dict[str, Any]) -> UUID:
    """Record an escrow with two trustees, the box's key split between them, and a request that one has denied."""
    escrow, request, mine = new_id(), new_id(), {"tenant_id": person.tenant_id}
    public = KeyPair.generate(Suite.X25519).public
    keys = {"key_id": public.key_id, "public_key": public.octets}
    seats = [{"id": new_id(), "escrow_id": escrow, "user_id": ids["colleague_id"], "index": 1, **keys, **mine}]
    seats += [{"id": new_id(), "escrow_id": escrow, "user_id": person.user_id, "index": 2, **keys, **mine}]
    asked = {"id": request, "escrow_id": escrow, "box_id": ids["other_box_id"], "user_id": ids["colleague_id"]}
    asked |= {"ground": "other", "hours": 1, "threshold": 2, "expires_at": datetime(2099, 1, 1, tzinfo=UTC)}
    asked |= {"reason": "of no importance", **keys, **mine}
    async with gateway.database.tenant(person.tenant_id) as connection:
        await connection.execute(insert(escrows).values(id=escrow, threshold=2, user_id=person.user_id, **mine))
        await connection.execute(insert(escrow_trustees), seats)
        await sealing_key(connection, person.box_id)
        await connection.execute(insert(escrow_requests).values(asked))
        said = {"request_id": request, "user_id": person.user_id, "approved": False}
        await connection.execute(insert(escrow_answers).values(**said, **mine))
    return request


async def _put_by(gateway: Gateway, person: Person) -> dict[str, Any]:
    """Record a hold over nothing, an erasure that is done, and a certificate."""
    ids = {"hold_id": new_id(), "erasure_id": new_id(), "certificate_id": new_id()}
    mine = {"tenant_id": person.tenant_id, "user_id": person.user_id}
    said = {"erasure": str(ids["erasure_id"])}
    async with gateway.database.tenant(person.tenant_id) as connection:
        await connection.execute(insert(holds).values(id=ids["hold_id"], name="case", by_fax=True, **mine))
        await connection.execute(insert(erasures).values(id=ids["erasure_id"], pseudonym=b"", state="done", **mine))
        row = {"id": ids["certificate_id"], "tenant_id": person.tenant_id, "said": said, "signature": b""}
        await connection.execute(insert(certificates).values(row))
    return ids


async def _document(gateway: Gateway, person: Person) -> UUID:
    stored = await gateway.objects.put(b"a text", tenant=person.tenant_id, kind="document")
    ids = {"id": new_id(), "tenant_id": person.tenant_id, "user_id": person.user_id, "object_id": stored.id}
    row = {"name": "a.txt", "media_type": "text/plain", "sha256": stored.sha256, "size": 6, "pages": 1}
    async with gateway.database.tenant(person.tenant_id) as connection:
        await write_down(connection, [stored], owner=None, spool=gateway.spool)
        await connection.execute(insert(documents).values(**ids, **row))
    return ids["id"]


async def _called(gateway: Gateway, person: Person, fax_id: UUID) -> None:
    """Record a call for a fax, with its trace and a confirmed page."""
    trace = await gateway.objects.put(b'{"trace":1}\n', tenant=person.tenant_id, kind="trace")
    attempt = {"id": new_id(), "tenant_id": person.tenant_id, "fax_id": fax_id, "index": 1, "state": "ended"}
    attempt |= {"destination": DESTINATION, "node": "node", "line": "isdn", "pages": 1, "seconds": 30.0}
    confirmed = {"tenant_id": person.tenant_id, "fax_id": fax_id, "index": 0, "attempt_id": attempt["id"]}
    confirmed |= {"sha256": bytes(32), "width": "A4", "resolution": "FINE", "coding": "MMR", "rows": 400}
    async with gateway.database.tenant(person.tenant_id) as connection:
        await write_down(connection, [trace], owner=person.key_pair.public, spool=None)
        await connection.execute(insert(attempts).values(**attempt, trace_id=trace.id, ended_at=func.now()))
        await connection.execute(insert(confirmations).values(**confirmed, octets=1000, seconds=9.5))


async def _hooked(gateway: Gateway, person: Person, fax_id: UUID) -> dict[str, Any]:
    """Record a webhook and a delivery to it that failed."""
    event = await add_event(gateway, person, fax_id, "fax.delivered", state="delivered")
    hook, delivery = new_id(), new_id()
    sealed = gateway.server_keys.seal_small(b"secret", context=b"webhook")
    ids = {"tenant_id": person.tenant_id, "user_id": person.user_id}
    row = {"id": hook, **ids, "url": "https://example.com/", "events": ["*"], "signature": "v1", "secret": sealed}
    failed = {"id": delivery, "tenant_id": person.tenant_id, "webhook_id": hook, "event_id": event, "state": "failed"}
    async with gateway.database.tenant(person.tenant_id) as connection:
        await connection.execute(insert(webhooks).values(row))
        await connection.execute(insert(deliveries).values(failed))
    return {"webhook_id": hook, "delivery_id": delivery}
