import pytest

from codex32.kernel.text import did_you_mean, format_duration, parse_duration, parse_size


def test_a_close_name_is_suggested():
    assert did_you_mean("notfy", ["http", "notify"]) == " (did you mean 'notify'?)"


def test_a_far_name_suggests_nothing():
    assert did_you_mean("zebra", ["http", "notify"]) == ""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30),
        ("1.5s", 1.5),
        ("10m", 600),
        ("2h", 7200),
        ("7d", 604800),
        ("2w", 1209600),
        ("1h30m", 5400),
        ("0s", 0),
    ],
)
def test_durations_are_seconds(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "s", "5 s", "-5s", "5sx", "x5s", "5S", "1h 30m", "٣s x"]
)
def test_what_is_no_duration_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="is no duration; write for example 500ms"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.0124, "12ms"),
        (3.44, "3.4s"),
        (320, "5m20s"),
        (7500, "2h05m"),
        (273_600, "3d04h"),
    ],
)
def test_durations_are_written_short(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "size"), [("512B", 512), ("64KiB", 65536), ("1.5 MiB", 1572864), ("2KB", 2000)]
)
def test_sizes_are_bytes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "64", "64kb", "-1KiB", "1KiB2B"])
def test_what_is_no_size_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="is no size; write for example 64KiB"):
        parse_size(text)
