"""Folders of this machine: killed at any moment, led astray by links, not mounted, mounted in clear."""

import asyncio
import os
import signal
import sys
import warnings
from pathlib import Path

import pytest

from faxgw.delivery.carrier import NotProtected, Parcel, Refused, Unreachable
from faxgw.delivery.targets import Target
from faxgw.folders.local import MARKER, LocalCarrier, rename_without_replacing
from faxgw.folders.mounts import hop_of
from tests.faxgw.folders.sending import gateway, lies, parcel, target, whole

CHANGES = {"open", "os.link", "os.remove", "os.chmod"}
"""What the interpreter tells of before it does it."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "out"
    (made / "in").mkdir(parents=True)
    (made / MARKER).touch()
    return made


def to(root: Path, folder: str = "in", **more: object) -> LocalCarrier:
    return LocalCarrier(target({"kind": "local", "folder": str(root / folder)} | more), gateway(folders=(root,)))


@pytest.mark.requirement("XM-12")
async def test_each_file_is_there_once_and_whole_and_only_for_those_who_may_read_it(root: Path) -> None:
    for kind, mode in (("owner", 0o600), ("group", 0o640)):
        carrier, fax = to(root, readable_by=kind), parcel()
        proofs = [await carrier.carry(fax) for _ in range(2)]
        assert lies(root / "in") == whole(fax)
        assert {path.stat().st_mode & 0o777 for path in (root / "in").iterdir()} == {mode}
        assert proofs[0].place == f"file://{root}/in/{fax.files[0].name}"
        assert (proofs[0].protocol, proofs[0].decision) == ("none", "local")
        assert await carrier.take_back(proofs[0].path, fax.files[0].sha256)
        assert not await carrier.take_back(proofs[0].path, fax.files[0].sha256)
        await carrier.probe()
        assert lies(root / "in") == {}


async def test_another_file_of_that_name_is_neither_replaced_nor_taken_back(root: Path) -> None:
    carrier, fax = to(root), parcel()
    proof = await carrier.carry(fax)
    (root / "in" / fax.files[0].name).write_bytes(b"somebody else's")
    with pytest.raises(Refused) as refused:
        await carrier.carry(fax)
    assert refused.value.code == "delivery.exists"
    assert not await carrier.take_back(proof.path, fax.files[0].sha256)
    assert lies(root / "in") == {fax.files[0].name: b"somebody else's"}


def test_killed_at_any_moment_and_tried_again_each_file_is_there_once_and_whole(root: Path) -> None:
    carrier, fax = to(root), parcel()
    moments = 0
    while _killed(carrier, fax, at=moments):
        _killed(carrier, fax, at=moments * 7 % 10)  # and once more
        asyncio.run(carrier.carry(fax))
        assert lies(root / "in") == whole(fax), moments
        for path in (root / "in").iterdir():
            path.unlink()
        moments += 1
    assert moments > 8


def _killed(carrier: LocalCarrier, fax: Parcel, *, at: int) -> bool:
    """Carry in a process that is killed before it changes something for the n-th time; return whether it was."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        left = at

        def before(event: str, _: object) -> None:
            nonlocal left
            if event in CHANGES:
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1

        sys.addaudithook(before)
        try:
            asyncio.run(carrier.carry(fax))
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("folder", ["link", "link/below", "in/file"])
async def test_a_link_leads_nowhere(root: Path, tmp_path: Path, folder: str) -> None:
    (tmp_path / "elsewhere" / "below").mkdir(parents=True)
    (root / "link").symlink_to(tmp_path / "elsewhere")
    (root / "in" / "file").touch()
    with pytest.raises(Refused) as refused:
        await to(root, folder).carry(parcel())
    assert refused.value.code == "delivery.link"
    assert not lies(tmp_path / "elsewhere" / "below")


async def test_a_link_in_the_place_of_a_file_is_not_followed(root: Path, tmp_path: Path) -> None:
    fax, victim = parcel(), tmp_path / "victim"
    victim.write_bytes(b"before")
    (root / "in" / f".{fax.id}.part").symlink_to(victim)
    await to(root).carry(fax)
    assert lies(root / "in") == whole(fax)
    other = parcel()
    (root / "in" / other.files[0].name).symlink_to(victim)
    with pytest.raises(Refused):
        await to(root).carry(other)
    assert victim.read_bytes() == b"before"
    victim.write_bytes(other.files[0].content)
    with pytest.raises(Refused):  # the same, but not there
        await to(root).carry(other)


@pytest.mark.parametrize("folder", ["/etc", "/etc/../tmp", "in/../../elsewhere", "."])
async def test_a_folder_that_the_operator_has_not_opened_is_no_target(root: Path, folder: str) -> None:
    carrier = to(root, folder)
    carrier.rules = carrier.rules.model_copy(update={"folders": (root / "in",)})
    with pytest.raises(Refused) as refused:
        await carrier.carry(parcel())
    assert refused.value.code == "target.folder"


async def test_a_folder_of_one_tenant_is_no_target_of_another(tmp_path: Path) -> None:
    ours, theirs = (target({"kind": "local", "folder": "/"}) for _ in range(2))
    rules = gateway(folders=(tmp_path / "{tenant}",))
    for each in (ours, theirs):
        (tmp_path / str(each.tenant_id)).mkdir()
        (tmp_path / str(each.tenant_id) / MARKER).touch()

    def leading(to: Target, by: Target) -> LocalCarrier:
        made = target({"kind": "local", "folder": str(tmp_path / str(to.tenant_id))})
        return LocalCarrier(Target(made.id, by.tenant_id, made.name, made.settings), rules)

    await leading(ours, ours).probe()
    with pytest.raises(Refused) as refused:
        await leading(theirs, ours).probe()
    assert refused.value.code == "target.folder"


async def test_nothing_is_put_down_where_nothing_is_mounted(root: Path) -> None:
    (root / MARKER).unlink()
    with pytest.raises(Unreachable) as refused:
        await to(root).carry(parcel())
    assert refused.value.code == "delivery.not_mounted"
    assert lies(root / "in") == {}


async def test_a_folder_that_is_not_there_may_be_there_later(root: Path) -> None:
    with pytest.raises(Unreachable) as missing:
        await to(root, "missing").carry(parcel())
    assert missing.value.code == "delivery.folder"


def test_where_there_are_no_links_a_rename_replaces_nothing_either(root: Path) -> None:
    (root / "part").write_bytes(b"ours")
    (root / "taken").write_bytes(b"theirs")
    descriptor = os.open(root, os.O_RDONLY)
    try:
        with pytest.raises(FileExistsError):
            rename_without_replacing(descriptor, "part", "taken")
        rename_without_replacing(descriptor, "part", "free")
    finally:
        os.close(descriptor)
    assert ((root / "taken").read_bytes(), (root / "free").read_bytes()) == (b"theirs", b"ours")


@pytest.mark.parametrize(
    ("mount", "protocol"),
    [
        ("ext4 /dev/sda1 rw,errors=remount-ro", "none"),
        ("nfs4 server:/x rw,vers=4.2,sec=krb5p,addr=10.0.0.1", "nfs4"),
        ("nfs4 server:/x rw,vers=4.2,sec=sys,addr=10.0.0.1", ""),
        ("nfs4 server:/x rw,vers=4.2,sec=krb5,addr=10.0.0.1", ""),
        ("nfs4 server:/x rw,sec=sys,xprtsec=tls", "nfs4"),
        ("cifs //server/x rw,vers=3.1.1,seal,cache=strict", "cifs"),
        ("cifs //server/x rw,vers=3.1.1,cache=strict", ""),
        ("fuse.curlftpfs curlftpfs#ftp://server rw", ""),
    ],
)
def test_what_goes_over_a_network_in_clear_by_a_mount_is_not_used(tmp_path: Path, mount: str, protocol: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"22 1 0:5 / / rw - tmpfs tmpfs rw\n36 22 0:77 / /srv rw,noatime shared:1 - {mount}\n")
    if protocol:
        assert hop_of(os.makedev(0, 77), mounts=mounts).protocol == protocol
    else:
        with pytest.raises(NotProtected) as refused:
            hop_of(os.makedev(0, 77), mounts=mounts)
        assert refused.value.code == "delivery.mount"
