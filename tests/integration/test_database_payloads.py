"""Values of any size in rows of a bounded size."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codex32.kernel import payloads
from codex32.kernel.database import Door
from codex32.kernel.ids import new_id
from codex32.kernel.models import StateRow
from codex32.kernel.payloads import PayloadMissing, PayloadStore

EXECUTION = "exe_01m8gvs7e8y8nz0brm5vpa61we"
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@pytest.fixture
def store(tmp_path: Path) -> PayloadStore:
    return PayloadStore(tmp_path / "payloads", limit_bytes=40)


def _files(store: PayloadStore) -> list[Path]:
    return [path for path in store.directory.rglob("*") if path.is_file()]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=_JSON)
def test_every_value_comes_back_through_a_column(store, door: Door, value) -> None:
    def work() -> str:
        StateRow.delete().execute()
        StateRow.insert(
            bot_id="b", key="k", value=store.pack(EXECUTION, value), updated_at=0
        ).execute()
        return StateRow.get().value

    text = door.write_now(work)
    assert len(text.encode()) <= 100
    assert store.unpack(EXECUTION, text) == value


def test_only_values_above_the_limit_go_to_files(store: PayloadStore) -> None:
    assert store.pack(EXECUTION, "x" * 38) == '"' + "x" * 38 + '"'
    assert not store.directory.exists()
    text = store.pack(EXECUTION, "x" * 39)
    assert text.startswith("@")
    assert text.endswith(":41")
    assert len(_files(store)) == 1
    assert store.pack(EXECUTION, "€" * 13).startswith("@")  # bytes count, not characters


def test_the_same_value_has_one_file(store: PayloadStore) -> None:
    assert store.pack(EXECUTION, "x" * 99) == store.pack(EXECUTION, "x" * 99)
    assert len(_files(store)) == 1


def test_an_empty_column_is_none(store: PayloadStore) -> None:
    assert store.unpack(EXECUTION, None) is None


def test_removing_takes_only_this_executions_files(store: PayloadStore) -> None:
    other = new_id("exe")
    kept, gone = store.pack(other, "x" * 99), store.pack(EXECUTION, "x" * 99)
    store.remove(EXECUTION)
    store.remove(EXECUTION)
    assert store.unpack(other, kept) == "x" * 99
    with pytest.raises(PayloadMissing, match=r"is gone; was the storage folder moved"):
        store.unpack(EXECUTION, gone)


@pytest.mark.parametrize("fault", ["fsync", "replace"])
def test_a_write_that_fails_half_way_leaves_nothing(store, monkeypatch, fault: str) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(payloads.os, fault, fail)
        with pytest.raises(OSError, match="No space left"):
            store.pack(EXECUTION, "x" * 99)
    assert _files(store) == []
    assert store.unpack(EXECUTION, store.pack(EXECUTION, "x" * 99)) == "x" * 99


@pytest.mark.parametrize("damage", [b"", b'"xxx', b'"' + b"y" * 99 + b'"'])
def test_a_damaged_file_is_told_and_not_read_as_another_value(store, damage: bytes) -> None:
    text = store.pack(EXECUTION, "x" * 99)
    _files(store)[0].write_bytes(damage)
    with pytest.raises(PayloadMissing, match="is damaged"):
        store.unpack(EXECUTION, text)


def test_a_damaged_file_is_mended_by_writing_its_value_again(store: PayloadStore) -> None:
    text = store.pack(EXECUTION, "x" * 99)
    _files(store)[0].write_bytes(b"torn")
    assert store.pack(EXECUTION, "x" * 99) == text
    assert store.unpack(EXECUTION, text) == "x" * 99


@pytest.mark.parametrize(
    "name", ["../../etc", "exe_", "/etc", "", f"{EXECUTION}/..", EXECUTION + "\n"]
)
def test_nothing_but_an_id_becomes_a_folder(store: PayloadStore, name: str) -> None:
    for attempt in (
        lambda: store.pack(name, "x" * 99),
        lambda: store.unpack(name, "@" + "0" * 64 + ":1"),
        lambda: store.remove(name),
    ):
        with pytest.raises(ValueError, match="is no id"):
            attempt()


@pytest.mark.parametrize("digest", ["../x", "", "a/b", "é" * 64, "0" * 63, "0" * 64 + "\n"])
def test_nothing_but_a_digest_becomes_a_file_name(store: PayloadStore, digest: str) -> None:
    with pytest.raises(ValueError, match="is no digest"):
        store.unpack(EXECUTION, f"@{digest}:1")


def test_a_file_is_readable_for_its_user_alone(store: PayloadStore) -> None:
    store.pack(EXECUTION, "x" * 99)
    assert os.stat(_files(store)[0]).st_mode & 0o077 == 0
