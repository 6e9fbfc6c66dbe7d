import os

import pytest

from codex32 import ProviderUnavailable
from codex32.builtin.secret_stores import (
    EnvironmentSecretStore,
    FileSecretStore,
    all_secret_stores,
)


async def test_the_environment_is_read_by_name(tmp_path):
    file = tmp_path / "token"
    file.write_text("from file\n")
    store = EnvironmentSecretStore(
        {
            "CODEX32_SECRET_A": "plain",
            "CODEX32_SECRET_B_FILE": str(file),
            "CODEX32_SECRET_C": "",
            "PASSWORD": "other",
        }
    )
    assert await store.read("A") == "plain"
    assert await store.read("B") == "from file"
    assert await store.read("C") == ""
    assert await store.read("D") is None
    assert await store.read("../PASSWORD") is None


async def test_a_directory_of_files_is_read(tmp_path):
    (tmp_path / "SLACK_URL").write_text("https://example.com/ä\n\n")
    store = FileSecretStore(tmp_path)
    assert await store.read("SLACK_URL") == "https://example.com/ä\n"
    assert await store.read("OTHER") is None


@pytest.mark.parametrize(
    "name", ["..", "../outside", "/etc/passwd", "a/b", "", ".hidden", "a\0", "x" * 200, "%2e%2e"]
)
async def test_no_name_leaves_the_directory(tmp_path, name):
    (tmp_path / "outside").write_text("no")
    inside = tmp_path / "inside"
    inside.mkdir()
    assert await FileSecretStore(inside).read(name) is None


async def test_a_store_lists_what_it_can_read(tmp_path):
    file = tmp_path / "token"
    file.write_text("from file\n")
    environment = {
        "CODEX32_SECRET_A": "plain",
        "CODEX32_SECRET_B_FILE": str(file),
        "CODEX32_SECRET_MY_FILE": "plain",
        "CODEX32_SECRET_": "x",
        "CODEX32_SECRET_NO NAME": "x",
        "PASSWORD": "other",
    }
    names = await EnvironmentSecretStore(environment).names()
    assert {"A", "B", "MY_FILE"} <= set(names)
    assert {"", "NO NAME", "PASSWORD"}.isdisjoint(names)
    (tmp_path / "SLACK_URL").write_text("https://example.com/x")
    (tmp_path / "..data").mkdir()
    (tmp_path / "DIRECTORY").mkdir()
    assert await FileSecretStore(tmp_path).names() == ["SLACK_URL", "token"]


async def test_a_directory_that_is_not_there_holds_nothing_and_one_that_is_none_is_told(tmp_path):
    assert await FileSecretStore(tmp_path / "none").names() == []
    (tmp_path / "file").touch()
    with pytest.raises(ProviderUnavailable, match="directory of secrets"):
        await FileSecretStore(tmp_path / "file").names()


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 70_000])
async def test_what_cannot_be_a_secret_is_told_without_its_content(tmp_path, content):
    (tmp_path / "A").write_bytes(content)
    with pytest.raises(ProviderUnavailable, match="secret file A"):
        await FileSecretStore(tmp_path).read("A")


async def test_a_directory_where_a_secret_should_be_is_told(tmp_path):
    os.mkdir(tmp_path / "A")
    with pytest.raises(ProviderUnavailable, match="cannot be read"):
        await FileSecretStore(tmp_path).read("A")


def test_the_settings_choose_the_directory(tmp_path):
    assert [store.scheme for store in all_secret_stores({})] == ["environment"]
    stores = all_secret_stores({"secrets_directory": str(tmp_path)})
    assert [store.scheme for store in stores] == ["environment", "files"]
