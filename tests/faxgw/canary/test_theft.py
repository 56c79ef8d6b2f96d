"""FP-08, FP-09: what a thief opens who has the data directory, the database, the objects and the configuration."""

import asyncio
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from faxgw.config import load
from faxgw.documents.tiff import tiff_octets
from faxgw.keys.slots import Password, RecoveryCode
from faxgw.keys.spool import SpoolKeys
from faxgw.keys.tokens import ApiKey, SessionToken, SetUpCode
from faxgw.store.database import Database
from faxgw.store.server import PrivateServer, urls_for_another_node
from faxgw.upkeep.spooling import move_on
from tests.faxgw.canary.hostile import Loot, keys_in, open_all
from tests.faxgw.canary.searching import Search
from tests.faxgw.service.residue import noise, wait_for
from tests.faxgw.serving import FAXGW, PASSWORD, Service, ended, reachable_folder, send, upload

pytestmark = pytest.mark.slow

ANSWERS, OURS = "+15550100", "+15550199"
TOMORROW = timedelta(days=1)


@dataclass
class User:
    """Somebody whose faxes lie there.

    Attributes:
        api_key: which opens what is theirs; so does what ``secrets`` has.
        ended: faxes that have ended.
        waiting: a fax that still has to be sent.
        secrets: name -> what they alone know.
    """

    account: dict[str, str]
    api_key: str
    ended: list[str] = field(default_factory=list)
    waiting: str = ""
    secrets: dict[str, str] = field(default_factory=dict)


@dataclass
class Theft:
    """A service, and the copy of all that it had on its disks.

    Attributes:
        stolen: the copy: data directory with database and objects, and configuration.
        spool_keys: the copy of the folder that lies elsewhere.
        past: spool wraps of faxes that have ended since, as the database had them.
        exported: a page that its owner took away, sealed.
        contents: which object belongs to which fax.
        unused: uploads of which no fax was made yet.
    """

    users: list[User]
    stolen: Path
    spool_keys: Path
    loot: Loot
    past: list[dict[str, Any]]
    exported: Path
    contents: list[dict[str, Any]]
    unused: set[UUID]

    def of(self, user: User, *, ended: bool = True) -> set[UUID]:
        """Return the objects with the pages, requests and recordings of a user's faxes."""
        ids = {UUID(each) for each in (user.ended if ended else [*user.ended, user.waiting])}
        return {each["object_id"] for each in self.contents if each["fax_id"] in ids}


CONTENTS = """
SELECT faxes.id AS fax_id, object_id FROM faxes JOIN pages USING (page_set_id)
UNION SELECT fax_id, trace_id FROM attempts WHERE trace_id IS NOT NULL
UNION SELECT id, private_id FROM faxes WHERE private_id IS NOT NULL
UNION SELECT faxes.id, object_id FROM faxes JOIN documents ON (request -> 'documents') ? documents.id::text
"""
UNUSED = """
SELECT object_id FROM documents WHERE NOT EXISTS (SELECT FROM faxes WHERE (request -> 'documents') ? documents.id::text)
UNION SELECT pages.object_id FROM pages JOIN documents USING (page_set_id)
    WHERE NOT EXISTS (SELECT FROM faxes WHERE (request -> 'documents') ? documents.id::text)
"""
"""Uploads of which no fax was made yet, and how they are drawn ahead."""


@pytest.fixture(scope="module")
def theft() -> Iterator[Theft]:
    with ExitStack() as stack:
        folder, thief = (stack.enter_context(reachable_folder()) for _ in range(2))
        service = stack.enter_context(Service(folder, environment={"TMPDIR": str(folder)}))
        service.start()
        users = [_user(service, "acme"), _user(service, "other")]
        past = _lived(service, users)
        exported = thief / "page.faxgw"
        with service.api(users[0].api_key) as api:
            exported.write_bytes(api.get(f"/v1/faxes/{users[0].ended[0]}/pages/1/sealed").content)
        service.stop()
        asyncio.run(_two_hours_later(service))
        loot, contents, unused = asyncio.run(_rows_of(service, thief / "data" / "objects"))
        shutil.copytree(service.data, thief / "data", symlinks=True)
        shutil.copy(folder / "faxgw.toml", thief)
        shutil.copy(service.log, thief)
        shutil.copytree(service.data.with_name("data.spool_keys"), thief / "spool_keys")
        yield Theft(users, thief, thief / "spool_keys", loot, past, exported, contents, unused)


def _user(service: Service, tenant: str) -> User:
    account = service.set_up(tenant, f"owner@{tenant}.example")
    return User(account, account["api_key"], secrets={"recovery code": account["recovery_code"]})


def _lived(service: Service, users: list[User]) -> list[dict[str, Any]]:
    """Have faxes sent, received and waiting; return the spool wraps that there were before they ended."""
    sheet = tiff_octets([noise(1)])  # the same file for both users
    past: list[dict[str, Any]] = []
    tomorrow = (datetime.now(UTC) + TOMORROW).isoformat()
    for user in users:
        with service.api(user.api_key) as api:
            _make_secrets(api, user)
            document = upload(api, sheet)
            held = send(api, ANSWERS, document, send_at=tomorrow, cover={"message": "a few words"})
            user.waiting = send(api, ANSWERS, upload(api, tiff_octets([noise(2)])), send_at=tomorrow)
            for fax in (held, user.waiting):
                wait_for(lambda: api.get(f"/v1/faxes/{fax}").json()["state"] == "scheduled")  # noqa: B023
            past += _spool_wraps(service, held)
            user.ended = [held, send(api, ANSWERS, document)]
            assert api.post(f"/v1/faxes/{held}:cancel").is_success
            assert ended(api, user.ended[1])["state"] == "delivered"
            ended(api, held)
    with service.api(users[0].api_key) as api:
        assert api.post("/v1/sandbox/calls", json={"to": OURS, "document": upload(api, sheet)}).is_success
        listed = {"state": "received"}
        wait_for(lambda: bool(api.get("/v1/faxes", params=listed).json()["items"]))
        users[0].ended.append(api.get("/v1/faxes", params=listed).json()["items"][0]["id"])
    return past


def _make_secrets(api: httpx.Client, user: User) -> None:
    once = [{"Idempotency-Key": f"once-{index}"} for index in range(3)]
    asked = {"name": "another", "scopes": ["content", "faxes:read"]}
    user.secrets["another API key"] = api.post("/v1/api-keys", json=asked, headers=once[0]).json()["key"]
    email = f"{user.account['tenant']}@example.com"
    invited = api.post("/v1/users", json={"email": email, "role": "member"}, headers=once[1])
    user.secrets["set-up code"] = invited.json()["set_up_code"]
    me = api.get("/v1/people/me").json()["email"]
    session = api.post("/v1/sessions", json={"email": me, "password": PASSWORD}).json()["token"]
    user.secrets["session"] = session
    signed_in = {"Authorization": f"Bearer {session}"}
    totp = api.post("/v1/me/totp", json={"password": PASSWORD}, headers=signed_in).json()["secret"]
    user.secrets["second factor"] = totp
    hook = api.post("/v1/webhooks", json={"url": "https://192.0.2.1/", "events": ["fax.*"]}, headers=once[2])
    user.secrets["webhook"] = hook.json().get("secret", "") if hook.is_success else ""


def _spool_wraps(service: Service, fax: str) -> list[dict[str, Any]]:
    url = urls_for_another_node(service.data / "postgres").dispatcher
    with psycopg.connect(url, row_factory=dict_row) as database:
        mine = f"SELECT * FROM wraps WHERE kind = 'spool' AND object_id IN (SELECT object_id FROM ({CONTENTS}) c"
        return database.execute(f"{mine} WHERE fax_id = %s)".encode(), (fax,)).fetchall()


async def _two_hours_later(service: Service) -> None:
    """Do what upkeep does each hour, by a clock that is two hours ahead."""
    config = load(None, data_dir=service.data)
    keys = SpoolKeys(config.spool_keys, now=lambda: time.time() + 7200)
    before = set(keys.epochs())
    async with PrivateServer(service.data / "postgres") as server:
        database = Database(server.urls, seals=None, pool=1)
        try:
            destroyed = await move_on(database, keys)
        finally:
            await database.close()
    assert destroyed
    assert set(destroyed) == before


async def _rows_of(service: Service, objects: Path) -> tuple[Loot, list[dict[str, Any]], set[UUID]]:
    async with PrivateServer(service.data / "postgres") as server:
        with psycopg.connect(server.urls.dispatcher, row_factory=dict_row) as database:
            contents, unused = (database.execute(each.encode()).fetchall() for each in (CONTENTS, UNUSED))
        return Loot.of(server.urls.dispatcher, objects), contents, {each["object_id"] for each in unused}


# ---------------------------------------------------------------------------------------------------- and opens nothing


@pytest.mark.requirement("FP-09")
def test_whoever_has_all_but_users_secrets_and_the_spool_folder_opens_nothing(theft: Theft) -> None:
    """FP-09: whatever might be a key, in any file or row, is tried on everything that is locked."""
    files = [path for path in theft.stolen.rglob("*") if path.is_file() and not _is_postgres(path)]
    outside = [path for path in files if theft.spool_keys not in path.parents and path != theft.exported]
    assert {"check.key", "small.key", "passwords.json", "key.pem"} <= {
        path.name for path in [*outside, *_passwords(theft)]
    }
    keys, secrets = keys_in([*outside, *_passwords(theft)], theft.loot.every_value())
    assert len(keys) > 5_000
    opened = open_all(replace(theft.loot, more_wraps=theft.past), keys, secrets=secrets)
    assert (opened.pairs, opened.content) == ({}, {})
    assert len(theft.loot.rows["objects"]) >= 10


def _is_postgres(path: Path) -> bool:
    return "postgres" in path.parts


def _passwords(theft: Theft) -> list[Path]:
    return list((theft.stolen / "data" / "postgres").glob("*.json"))


@pytest.mark.requirement("FP-09")
def test_with_the_spool_folder_what_has_ended_in_an_epoch_before_stays_closed(theft: Theft) -> None:
    """FP-09: even by spool wraps of before, which deleted rows leave in the files of the database."""
    assert len(theft.past) >= 4
    keys, secrets = keys_in(theft.spool_keys.iterdir())
    opened = open_all(replace(theft.loot, more_wraps=theft.past), keys, secrets=secrets)
    over = {each for user in theft.users for each in theft.of(user)}
    waiting = {each for user in theft.users for each in theft.of(user, ended=False)} - over
    assert len(over) >= 5
    assert waiting
    assert waiting <= opened.content.keys()  # so that opening nothing means something
    assert not over & opened.content.keys()
    assert opened.content.keys() <= waiting | theft.unused


@pytest.mark.requirement("FP-09")
def test_each_secret_of_a_user_opens_all_of_their_faxes_and_nobody_elses(theft: Theft) -> None:
    """FP-09: API key, recovery code and session; the password is tried where it opens something, see below."""
    for user, stranger in (theft.users, theft.users[::-1]):
        everything = theft.of(user, ended=False)
        assert len(everything) >= 3
        for secret in (
            ApiKey.parse(user.api_key).secret,
            ApiKey.parse(user.secrets["another API key"]).secret,
            RecoveryCode.parse(user.secrets["recovery code"]).octets,
            SessionToken.parse(user.secrets["session"]).secret,
        ):
            opened = open_all(theft.loot, [], secrets=[secret])
            assert everything <= opened.content.keys()
            assert not theft.of(stranger, ended=False) & opened.content.keys()
            tenants = {row["tenant_id"] for row in theft.loot.rows["objects"] if row["id"] in opened.content}
            assert tenants == {UUID(user.account["tenant"])}


@pytest.mark.requirement("FP-09")
async def test_only_the_right_password_opens_a_slot_of_a_password(theft: Theft) -> None:
    rows = [row for row in theft.loot.rows["person_slots"] if row["kind"] == "password"]
    assert len(rows) == 2
    for guess, opens in ((PASSWORD, True), ("", False), ("correct horse battery ", False), ("postgres", False)):
        keys = [await Password(guess).kek(row["parameters"]) for row in rows]
        opened = open_all(theft.loot, keys)
        assert bool(opened.content) is opens
        assert all(theft.of(user) <= opened.content.keys() for user in theft.users) is opens


@pytest.mark.requirement("FP-08")
def test_the_same_file_of_two_users_has_other_keys_and_nothing_in_common(theft: Theft) -> None:
    """FP-08: keys of each user's own; without the slots of one, that one's faxes are lost and no others."""
    one, two = theft.users
    keys = {user.account["tenant"]: _key_ids(theft, user) for user in theft.users}
    assert all(keys.values())
    assert not keys[one.account["tenant"]] & keys[two.account["tenant"]]
    pieces = [b"".join(_sealed(theft, each)[17:] for each in theft.of(user)) for user in theft.users]
    assert Search({"one's": pieces[0]}).octets(pieces[1]) == set()
    slots = [row for row in theft.loot.rows["key_slots"] if row["user_id"] != UUID(one.account["user"])]
    mine = next(row["person_id"] for row in theft.loot.rows["users"] if str(row["id"]) == one.account["user"])
    others = [row for row in theft.loot.rows["person_slots"] if row["person_id"] != mine]
    without = replace(theft.loot, rows={**theft.loot.rows, "key_slots": slots, "person_slots": others})
    secrets = [ApiKey.parse(user.api_key).secret for user in theft.users]
    secrets += [RecoveryCode.parse(user.secrets["recovery code"]).octets for user in theft.users]
    opened = open_all(without, [], secrets=secrets)
    assert theft.of(two, ended=False) <= opened.content.keys()
    assert not theft.of(one, ended=False) & opened.content.keys()


def _key_ids(theft: Theft, user: User) -> set[str]:
    mine = theft.of(user, ended=False)
    return {row["key_id"] for row in theft.loot.rows["wraps"] if row["object_id"] in mine and row["kind"] != "spool"}


def _sealed(theft: Theft, object_id: UUID) -> bytes:
    return next(theft.loot.folder.rglob(str(object_id))).read_bytes()


@pytest.mark.requirement("FP-09")
def test_the_offline_opener_opens_an_export_with_its_owners_secrets_only(theft: Theft, tmp_path: Path) -> None:
    one, two = theft.users
    right = [one.api_key, one.secrets["another API key"], one.secrets["recovery code"], PASSWORD]
    wrong = [two.api_key, two.secrets["recovery code"], two.secrets["session"], "another password"]
    for index, secret in enumerate([*right, *wrong]):
        out = tmp_path / f"{index}.tif"
        words = [*FAXGW, "open", str(theft.exported), "--out", str(out), "--secret-env", "GIVEN"]
        ran = subprocess.run(words, env=os.environ | {"GIVEN": secret}, capture_output=True, text=True, check=False)
        assert (ran.returncode == 0) is (secret in right), ran.stderr
        assert out.exists() is (secret in right)
        if secret not in right:
            assert "does not open this object" in ran.stderr
            assert "Traceback" not in ran.stderr


@pytest.mark.requirement("FP-09", "XM-14")
def test_no_secret_that_was_shown_once_lies_anywhere_as_it_is(theft: Theft) -> None:
    """XM-14: nor in an answer that is kept to be given again, nor in a log."""
    forms: dict[str, bytes] = {}
    for user in theft.users:
        said = {"API key": user.api_key, **user.secrets}
        for name, secret in said.items():
            if name != "recovery code" and secret:
                forms[f"{name} of {user.account['tenant']}"] = secret.rpartition("_")[2].encode()
    whole = {name: octets for name, octets in forms.items() if len(octets) < 24}
    tokens = [(ApiKey, "another API key"), (SessionToken, "session"), (SetUpCode, "set-up code")]
    for user in theft.users:
        whole |= {f"{name}, raw": kind.parse(user.secrets[name]).secret for kind, name in tokens}
        recovery = user.secrets["recovery code"]
        whole |= {"recovery code": recovery.encode(), "recovery code, raw": RecoveryCode.parse(recovery).octets}
    search = Search({name: octets for name, octets in forms.items() if len(octets) >= 24}, whole)
    files = [path for path in theft.stolen.rglob("*") if path.is_file()]
    assert search.files(files) == set()
    (theft.stolen / "planted").write_text(json.dumps({"key": theft.users[0].api_key}))
    assert len(search.files([theft.stolen / "planted"])) == 1
    (theft.stolen / "planted").unlink()
