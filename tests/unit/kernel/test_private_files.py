import stat

import pytest

from codex32.kernel.database import connect
from codex32.kernel.private_files import create_private, private_folder, write_private


def test_a_file_is_replaced_and_its_owners_alone(tmp_path):
    path = tmp_path / "folder" / "note"
    write_private(path, "one")
    path.chmod(0o644)
    write_private(path, "two")
    assert path.read_text() == "two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_is_there_is_not_made_again(tmp_path):
    path = tmp_path / "note"
    assert create_private(path, "one")
    assert not create_private(path, "two")
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_left_behind_where_it_fails(tmp_path):
    target = tmp_path / "a-folder"
    target.mkdir()
    with pytest.raises(OSError, match="a-folder"):
        write_private(target, "text")
    assert list(tmp_path.iterdir()) == [target]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_that_are_made_are_private_and_others_stay_as_they_are(tmp_path):
    there = tmp_path / "project"
    there.mkdir(mode=0o755)
    private_folder(there / "home" / "payloads")
    assert [mode(each) for each in (there / "home", there / "home" / "payloads")] == [0o700] * 2
    assert mode(there) == 0o755


def test_a_database_that_is_made_is_private_with_all_that_stands_beside_it(tmp_path):
    database = connect(f"sqlite:///{tmp_path}/new.db")
    database.execute_sql("CREATE TABLE a (b)")
    assert {mode(each) for each in tmp_path.iterdir()} == {0o600}
    assert len(list(tmp_path.iterdir())) == 3
    database.close()
    other = tmp_path / "old.db"
    other.touch(mode=0o640)
    database = connect(f"sqlite:///{other}")
    database.execute_sql("CREATE TABLE a (b)")
    database.close()
    assert mode(other) == 0o640
