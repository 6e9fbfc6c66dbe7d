import pytest

from codex32.outside.hosts import HostPattern, normal_host, parse_patterns


@pytest.mark.parametrize(
    ("entry", "host", "port", "fits"),
    [
        ("example.com", "example.com", 443, True),
        ("example.com", "example.com", 8080, True),
        ("Example.COM.", "example.com", 443, True),
        ("example.com", "www.example.com", 443, False),
        ("example.com", "example.com.evil.net", 443, False),
        ("example.com", "notexample.com", 443, False),
        ("*.example.com", "www.example.com", 443, True),
        ("*.example.com", "a.b.example.com", 443, True),
        ("*.example.com", "example.com", 443, False),
        ("*.example.com", "evilexample.com", 443, False),
        ("example.com:8080", "example.com", 8080, True),
        ("example.com:8080", "example.com", 443, False),
        ("127.0.0.1:80", "127.0.0.1", 80, True),
        ("[::1]:80", "::1", 80, True),
        ("::1", "::1", 80, True),
        ("bücher.example", "xn--bcher-kva.example", 443, True),
        ("*.bücher.example", "www.xn--bcher-kva.example", 443, True),
    ],
)
def test_an_entry_fits_what_it_means(entry, host, port, fits):
    assert HostPattern.parse(entry).fits(host, port) is fits


@pytest.mark.parametrize(
    "host", ["EXAMPLE.com", "example.com.", "example。com", "\uff45xample.com"]
)
def test_notations_of_one_host_are_one(host):
    assert normal_host(host) == "example.com"


@pytest.mark.parametrize("host", ["", ".", "a/b", "user@example.com", "a b", "*"])
def test_what_is_no_host_is_refused(host):
    with pytest.raises(ValueError, match=r"."):
        normal_host(host)


def test_an_entry_that_cannot_be_read_permits_nothing():
    patterns = parse_patterns(["https://example.com", "example.com/x", "*", "*.", ""])
    assert not any(pattern.fits("example.com", 443) for pattern in patterns)
