"""Folders in buckets: moto's S3 by TLS; signatures as botocore makes them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]

from faxgw.delivery.carrier import NotProtected, Refused, Unreachable
from faxgw.folders.aws import escaped, in_order, signed
from faxgw.folders.s3 import S3Carrier
from tests.drivers.sip.authority import Authority
from tests.faxgw.archive.s3 import S3Server, s3_server
from tests.faxgw.folders.sending import CANARY, PASSWORD, encrypted_anew, gateway, parcel, target
from tests.interop.relay import relay


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def store(authority: Authority) -> Iterator[S3Server]:
    with s3_server(authority) as server:
        yield server


def to(store: S3Server, authority: Authority, bucket: str, **more: Any) -> S3Carrier:
    settings = {
        "kind": "s3",
        "bucket": bucket,
        "endpoint": store.url,
        "access_key_id": "id",
        "folder": "in/fax es",
        "authorities": authority.ca.read_text(),
    }
    return S3Carrier(target(settings | more, password=PASSWORD), gateway())


def keys(store: S3Server, bucket: str) -> list[str]:
    return [part.partition("<")[0] for part in store.ask("GET", f"/{bucket}").text.split("<Key>")[1:]]


@pytest.mark.slow
async def test_each_file_is_there_once_and_whole_and_can_be_taken_back(store: S3Server, authority: Authority) -> None:
    bucket, fax = store.new_bucket(), parcel()
    carrier = to(store, authority, bucket, server_encryption="AES256")
    proofs = [await carrier.carry(fax) for _ in range(2)]
    assert sorted(keys(store, bucket)) == sorted(f"in/fax es/{file.name}" for file in fax.files)
    for file in fax.files:
        found = store.ask("GET", f"/{bucket}/in/fax%20es/{file.name}")
        assert found.content == file.content
        assert found.headers["x-amz-meta-sha256"] == file.sha256.hex()
        assert found.headers["x-amz-server-side-encryption"] == "AES256"
    assert proofs[0].protocol == "TLSv1.3"
    assert len(proofs[0].peer) == 64
    assert proofs[0].place == f"s3://{store.url.partition('//')[2]}/{bucket}/in/fax%20es/{fax.files[0].name}"
    assert await carrier.take_back(proofs[0].path, fax.files[0].sha256)
    assert not await carrier.take_back(proofs[0].path, fax.files[0].sha256)
    await carrier.probe()
    assert keys(store, bucket) == []


@pytest.mark.slow
async def test_what_was_encrypted_anew_takes_the_place_of_what_an_earlier_try_has_put_down(
    store: S3Server, authority: Authority
) -> None:
    bucket, fax = store.new_bucket(), parcel()
    carrier = to(store, authority, bucket, folder="")
    for each in (fax, encrypted_anew(fax)):
        await carrier.carry(each)
        for file in each.files:
            assert store.ask("GET", f"/{bucket}/{file.name}").content == file.content
        assert sorted(keys(store, bucket)) == sorted(file.name for file in each.files)


@pytest.mark.slow
async def test_another_file_of_that_name_is_neither_replaced_nor_taken_back(
    store: S3Server, authority: Authority
) -> None:
    bucket, fax = store.new_bucket(), parcel()
    carrier = to(store, authority, bucket, folder="")
    proof = await carrier.carry(fax)
    store.ask("PUT", f"/{bucket}/{fax.files[0].name}", b"somebody else's").raise_for_status()
    with pytest.raises(Refused) as refused:
        await carrier.carry(fax)
    assert refused.value.code == "delivery.exists"
    assert not await carrier.take_back(proof.path, fax.files[0].sha256)
    async with carrier.open("") as folder:
        assert not await folder.add(fax.files[0].name, b"too late", part="")
    assert store.ask("GET", f"/{bucket}/{fax.files[0].name}").content == b"somebody else's"


@pytest.mark.slow
@pytest.mark.requirement("XM-12")
async def test_what_is_taken_back_from_a_bucket_with_versions_leaves_none(
    store: S3Server, authority: Authority
) -> None:
    bucket, fax = store.new_bucket(), parcel()
    versioned = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    store.ask("PUT", f"/{bucket}?versioning", versioned).raise_for_status()
    carrier = to(store, authority, bucket)
    proof = await carrier.carry(fax)
    assert await carrier.take_back(proof.path, fax.files[0].sha256)
    assert "<Key>" not in store.ask("GET", f"/{bucket}?versions").text


@pytest.mark.slow
async def test_a_bucket_that_is_not_there_may_be_there_later(store: S3Server, authority: Authority) -> None:
    with pytest.raises(Unreachable) as missing:
        await to(store, authority, "no-such-bucket").carry(parcel())
    assert missing.value.code == "delivery.folder"


@pytest.mark.slow
@pytest.mark.requirement("XM-14")
async def test_nobody_else_is_believed_and_nothing_can_be_read_on_the_way(
    store: S3Server, authority: Authority, tmp_path: Path
) -> None:
    bucket, fax, port = store.new_bucket(), parcel(), int(store.url.rpartition(":")[2])
    with pytest.raises(NotProtected) as refused:
        await to(store, Authority(tmp_path), bucket).carry(fax)
    assert refused.value.code == "delivery.certificate"
    async with relay([port]) as between:
        with pytest.raises(NotProtected) as refused:  # its certificate has another address
            await to(store, authority, bucket, endpoint=f"https://127.0.0.2:{port}").carry(fax)
        assert refused.value.code == "delivery.certificate"
        assert CANARY not in between.passed
    assert keys(store, bucket) == []


@pytest.mark.slow
async def test_private_addresses_are_not_connected_to_unless_allowed(store: S3Server, authority: Authority) -> None:
    carrier = to(store, authority, store.new_bucket())
    carrier.rules = carrier.rules.model_copy(update={"allow_private": ()})
    with pytest.raises(Refused) as refused:
        await carrier.carry(parcel())
    assert refused.value.code == "delivery.address"


@pytest.mark.parametrize(
    ("path", "query", "headers"),
    [
        ("/bucket/in/a fax+(1).pdf", {}, {"if-none-match": "*", "x-amz-meta-sha256": "00"}),
        ("/bucket/ü", {"versionId": "a/b+c=", "b": ""}, {}),
    ],
)
def test_a_request_is_signed_as_botocore_signs_it(path: str, query: dict[str, str], headers: dict[str, str]) -> None:
    content = b"content"
    ours = signed(
        "PUT", host="s3.example:9000", path=escaped(path), query=query, headers=headers, content=content,
        region="eu-central-1", key_id="id", secret="secret", at=datetime.now(UTC),
    )  # fmt: skip
    url = f"https://s3.example:9000{escaped(path)}" + (f"?{in_order(query)}" if query else "")
    request = AWSRequest(method="PUT", url=url, data=content, headers=dict(headers))
    request.context["timestamp"] = ours["x-amz-date"]
    request.headers["X-Amz-Date"] = ours["x-amz-date"]
    request.headers["X-Amz-Content-SHA256"] = sha256(content).hexdigest()
    signer = S3SigV4Auth(Credentials("id", "secret"), "s3", "eu-central-1")
    text = signer.string_to_sign(request, signer.canonical_request(request))
    assert ours["authorization"].rpartition("=")[2] == signer.signature(text, request)
