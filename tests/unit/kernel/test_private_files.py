import stat

import pytest

from codex32.kernel.private_files import create_private, write_private


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
