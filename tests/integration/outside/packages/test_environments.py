"""Packages are found once, locked, unpacked aside and shared; no code of theirs runs meanwhile."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from codex32_wheels import simple_pages, source, wheel

from codex32.outside.packages.environments import Environments, PackageRules
from codex32.outside.packages.faults import PackagesFault
from codex32.outside.packages.installers import Pip, Sources, Uv
from codex32.outside.packages.shelf import Key, Shelf
from codex32_testing.loopback import LoopbackServer, Reply

pytestmark = pytest.mark.timeout(300)

INSTALLERS = {"pip": Pip(), "uv": Uv(str(Path(sys.executable).with_name("uv")))}


@pytest.fixture
def wheels(tmp_path):
    """A folder with ``greet`` 1.0, which needs ``tone``, of which there are two."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    wheel(
        folder,
        "greet",
        "1.0",
        {"greet/__init__.py": "import tone\ndef hello():\n    return f'hello {tone.TONE}'\n"},
        requires=["tone>=1"],
    )
    wheel(folder, "tone", "1.0", {"tone.py": "TONE = 'soft'\n"})
    wheel(folder, "tone", "1.2", {"tone.py": "TONE = 'loud'\n"})
    return folder


@pytest.fixture(params=sorted(INSTALLERS))
def installer(request):
    return INSTALLERS[request.param]


@pytest.fixture
def rules(wheels):
    return PackageRules(Sources(find_links=(str(wheels),), offline=True), timeout_seconds=60.0)


@pytest.fixture
async def environments(tmp_path, rules, installer):
    made = Environments(tmp_path / "shelf", rules, lambda: installer)
    yield made
    await made.close()


async def used(environments: Environments, *requires: str) -> Path:
    async with environments.use(requires, lambda line: None) as folder:
        return folder


async def shelved(tmp_path: Path, what, **how):
    return await asyncio.to_thread(what, Shelf(tmp_path / "shelf"), **how)


def has(folder: Path, code: str) -> str:
    """What ``code`` prints where these packages are there and no others."""
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({str(folder)!r})\n"]
    command[-1] += textwrap.dedent(code)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


async def test_what_is_required_is_there_with_what_it_needs(environments, tmp_path):
    told = []
    async with environments.use(["Greet == 1.0"], told.append) as folder:
        assert has(folder, "import greet; print(greet.hello())") == "hello loud"
    assert told[0] == "installing greet==1.0; this happens once"
    told.clear()
    async with environments.use(["greet==1.0"], told.append) as again:
        assert (again, told) == (folder, [])
    (kept,) = await shelved(tmp_path, Shelf.listing)
    assert kept.requires == ("greet==1.0",)
    assert kept.packages == ("greet==1.0", "tone==1.2")


async def test_nothing_of_it_can_be_written_to(environments):
    folder = await used(environments, "greet==1.0")
    for root, folders, files in os.walk(folder):
        for name in [".", *folders, *files]:
            assert not (Path(root) / name).stat().st_mode & 0o222, name


async def test_it_is_the_same_again_after_it_was_removed(environments, wheels, tmp_path):
    folder = await used(environments, "greet==1.0")
    wheel(wheels, "tone", "1.3", {"tone.py": "TONE = 'shrill'\n"})
    (gone,) = await shelved(tmp_path, Shelf.prune, older_than_days=None, max_mib=0.0)
    assert not folder.exists()
    assert gone.digest == folder.name
    assert await used(environments, "greet==1.0") == folder
    assert has(folder, "import greet; print(greet.hello())") == "hello loud"


async def test_what_is_served_under_the_same_name_later_is_refused(environments, wheels, tmp_path):
    await used(environments, "tone==1.0")
    await shelved(tmp_path, Shelf.prune, older_than_days=None, max_mib=0.0)
    wheel(wheels, "tone", "1.0", {"tone.py": "TONE = 'forged'\n"})
    with pytest.raises(PackagesFault, match=r"tone==1\.0") as caught:
        await used(environments, "tone==1.0")
    assert caught.value.code == "packages"
    assert await shelved(tmp_path, Shelf.listing) == []


@pytest.mark.parametrize(
    ("requires", "culprit"),
    [
        (["tone==1.0", "nosuch==3.1"], "nosuch==3.1"),
        (["tone==9"], "tone==9"),
        (["tone==1.0", "Not A Name"], "Not A Name"),
        (["picky==1.0", "tone==1.0"], "tone"),
    ],
    ids=["unknown", "version", "unpinned", "conflict"],
)
async def test_what_is_not_to_be_had_is_named(environments, wheels, requires, culprit):
    wheel(wheels, "picky", "1.0", {"picky.py": ""}, requires=["tone>=1.1"])
    with pytest.raises(PackagesFault) as caught:
        await used(environments, *requires)
    assert culprit in str(caught.value).partition(": ")[0] + str(caught.value)
    assert caught.value.code == "packages"
    assert str(wheels.parent / "shelf") not in str(caught.value)


async def test_no_code_is_run_to_install(environments, wheels, tmp_path):
    canary = tmp_path / "canary"
    built = source(wheels, "built", "1.0", canary)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(built, elsewhere)
    address = (elsewhere / built.name).as_uri()
    wheel(wheels, "sly", "1.0", {"sly.py": ""}, requires=[f"built @ {address}"])
    wheel(
        wheels,
        "pth",
        "1.0",
        {"pth.py": "", "pth.pth": f"import os; open({str(canary)!r}, 'w')\n"},
    )
    for requires in ("built==1.0", "sly==1.0"):
        with pytest.raises(PackagesFault, match=requires.partition("==")[0]) as caught:
            await used(environments, requires)
        assert caught.value.code == "packages", caught.value
    await used(environments, "pth==1.0")
    assert not canary.exists()


async def test_many_who_ask_at_once_wait_for_one(tmp_path, rules):
    made = 0

    class Counting(Pip):
        def install(self, *given):
            nonlocal made
            made += 1
            super().install(*given)

    several = [Environments(tmp_path / "shelf", rules, Counting) for _ in range(3)]
    folders = await asyncio.gather(*(used(each, "tone==1.0") for each in several * 3))
    assert (len(set(folders)), made) == (1, 1)
    assert list((tmp_path / "shelf" / "building").iterdir()) == []
    for each in several:
        await each.close()


async def test_what_is_in_use_is_not_removed(environments, tmp_path):
    async with environments.use(["tone==1.0"], lambda line: None) as folder:
        assert await shelved(tmp_path, Shelf.prune, older_than_days=0.0, max_mib=None) == []
        assert folder.is_dir()
    assert (
        len(await shelved(tmp_path, Shelf.prune, older_than_days=0.0, max_mib=None, dry_run=True))
        == 1
    )
    assert folder.is_dir()
    assert len(await shelved(tmp_path, Shelf.prune, older_than_days=0.0, max_mib=None)) == 1
    assert not folder.exists()


async def test_the_oldest_goes_when_there_is_no_room(tmp_path, rules):
    full = Environments(tmp_path / "shelf", replace(rules, max_mib=1e-6), Pip)
    first = await used(full, "tone==1.0")
    second = await used(full, "tone==1.2")
    assert (first.exists(), second.exists()) == (False, True)
    await full.close()


async def test_a_half_built_one_is_never_seen_and_the_next_try_starts_afresh(tmp_path, rules):
    class Dying(Pip):
        def install(self, work, sources, lock, target):
            super().install(work, sources, lock, target)
            raise OSError(28, "No space left on device")

    shelf = Shelf(tmp_path / "shelf")
    dying = Environments(shelf.folder, rules, Dying)
    with pytest.raises(PackagesFault, match="No space left") as caught:
        await used(dying, "tone==1.0")
    assert caught.value.code == "packages-unavailable"
    assert await shelved(tmp_path, Shelf.listing) == []
    # As a process leaves it that was killed.
    left = shelf.folder / "building" / f"{Key.of(['tone==1.0']).digest}-1-1"
    (left / "packages").mkdir(parents=True)
    (left / "packages" / "tone.py").write_text("half")
    healthy = Environments(shelf.folder, rules, Pip)
    folder = await used(healthy, "tone==1.0")
    assert (folder / "tone.py").read_text() == "TONE = 'soft'\n"
    assert not left.exists()
    for each in (dying, healthy):
        await each.close()


async def test_an_index_is_asked_and_its_password_told_to_nobody(
    tmp_path, wheels, installer, loopback_server: LoopbackServer
):
    for path, body in simple_pages(wheels).items():
        kind = "text/html" if path.endswith("/") else "application/octet-stream"
        loopback_server.reply(path, Reply(body=body, headers={"content-type": kind}))
    url = loopback_server.url("/simple/").replace("://", "://reader:canary-5511@")
    made = Environments(tmp_path / "shelf", PackageRules(Sources(url)), lambda: installer)
    folder = await used(made, "greet==1.0")
    assert has(folder, "import greet; print(greet.hello())") == "hello loud"
    assert any("authorization" in each.headers for each in loopback_server.requests)
    with pytest.raises(PackagesFault) as caught:
        await used(made, "absent==1.0")
    assert caught.value.code == "packages"
    assert "canary-5511" not in str(caught.value)
    await made.close()
    kept = [path.read_text() for path in (tmp_path / "shelf" / "locks").iterdir()]
    assert not any("canary-5511" in text for text in kept)


async def test_an_index_that_does_not_answer_may_be_asked_again(tmp_path, installer):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
    sources = Sources(f"http://127.0.0.1:{port}/simple/")
    made = Environments(tmp_path / "shelf", PackageRules(sources), lambda: installer)
    with pytest.raises(PackagesFault, match=r"tone==1\.0") as caught:
        await used(made, "tone==1.0")
    assert caught.value.code == "packages-unavailable"
    await made.close()


async def test_an_index_that_never_ends_is_left_when_time_is_over(tmp_path, installer):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        sources = Sources(f"http://127.0.0.1:{mute.getsockname()[1]}/simple/")
        rules = PackageRules(sources, timeout_seconds=1.5)
        made = Environments(tmp_path / "shelf", rules, lambda: installer)
        with pytest.raises(PackagesFault, match=r"packages\.timeout_seconds"):
            await used(made, "tone==1.0")
        await made.close()


async def test_closing_stops_what_is_being_installed(tmp_path, installer):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        sources = Sources(f"http://127.0.0.1:{mute.getsockname()[1]}/simple/")
        made = Environments(tmp_path / "shelf", PackageRules(sources), lambda: installer)
        asking = asyncio.ensure_future(used(made, "tone==1.0"))
        mute.setblocking(False)
        async with asyncio.timeout(60):
            line, _ = await asyncio.get_running_loop().sock_accept(mute)
        await made.close()
        line.close()
        with pytest.raises(PackagesFault, match="stopped"):
            await asking


async def test_without_an_installer_the_fault_says_what_to_do(tmp_path):
    bare = Environments(tmp_path / "shelf", PackageRules(), lambda: None)
    with pytest.raises(PackagesFault, match="neither uv nor pip"):
        await used(bare, "tone==1.0")
    await bare.close()
