import socket

import pytest

from codex32.kernel.errors import CapabilityRefused, ProviderUnavailable
from codex32.outside.addresses import GuardedAddresses


@pytest.fixture
def resolves(monkeypatch: pytest.MonkeyPatch):
    """What names are resolved to."""

    def to(*addresses: str) -> None:
        def getaddrinfo(host: str, port: int, *_: object, **__: object) -> list[tuple]:
            if not addresses:
                raise socket.gaierror(socket.EAI_NONAME, "unknown")
            return [
                (
                    socket.AF_INET6 if ":" in each else socket.AF_INET,
                    socket.SOCK_STREAM,
                    6,
                    "",
                    (each, port),
                )
                for each in addresses
            ]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return to


@pytest.mark.parametrize(
    ("private", "addresses", "taken"),
    [
        ((), ["8.8.8.8"], "8.8.8.8"),
        ((), ["10.0.0.1", "8.8.8.8"], "8.8.8.8"),
        (("db.example:5432",), ["10.0.0.1"], "10.0.0.1"),
        (("10.0.0.0/8",), ["127.0.0.1", "10.0.0.1"], "10.0.0.1"),
        (("db.example",), ["::1", "127.0.0.1"], "127.0.0.1"),
    ],
)
async def test_an_address_is_public_or_permitted(resolves, private, addresses, taken):
    resolves(*addresses)
    assert await GuardedAddresses(private)("db.example", 5432) == taken


@pytest.mark.parametrize("private", [(), ("db.example:5433",), ("127.0.0.1:1",), ("11.0.0.0/8",)])
@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "::1", "::ffff:10.0.0.1", "fe80::1"])
async def test_no_other_is_told(resolves, private, address):
    resolves(address)
    with pytest.raises(CapabilityRefused) as caught:
        await GuardedAddresses(private)("db.example", 5432)
    assert "private_hosts: ['db.example:5432']" in caught.value.message


async def test_a_name_without_an_address_is_told(resolves):
    resolves()
    with pytest.raises(ProviderUnavailable):
        await GuardedAddresses()("nowhere.example", 5432)
