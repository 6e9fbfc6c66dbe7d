import socket

import pytest
from hypothesis import given
from hypothesis.strategies import ip_addresses

from codex32.outside.guard import (
    AddressRefused,
    GuardedSockets,
    PrivateHosts,
    is_public,
    unwrapped,
)

NOT_PUBLIC = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8"]


def info(address, port=80):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return (family, socket.SOCK_STREAM, 6, "", (address, port))


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_no_socket_is_made_for(address):
    with pytest.raises(AddressRefused):
        GuardedSockets(PrivateHosts())(info(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_a_socket_is_made_for(address):
    with GuardedSockets(PrivateHosts())(info(address)) as made:
        assert made.getblocking() is False


@given(ip_addresses())
def test_no_address_is_public_that_the_registry_calls_private(address):
    assert not (is_public(unwrapped(str(address))) and not unwrapped(str(address)).is_global)


@pytest.mark.parametrize(
    ("entry", "address", "port", "permitted"),
    [
        ("127.0.0.1:8765", "127.0.0.1", 8765, True),
        ("127.0.0.1:8765", "127.0.0.1", 8766, False),
        ("127.0.0.1:8765", "::ffff:127.0.0.1", 8765, True),
        ("127.0.0.1", "127.0.0.1", 1, True),
        ("10.0.0.0/8", "10.200.0.1", 6379, True),
        ("10.0.0.0/8", "11.0.0.1", 6379, False),
        ("10.0.0.0/8", "::1", 6379, False),
        ("[::1]:80", "::1", 80, True),
        ("::1", "::1", 81, True),
    ],
)
def test_operators_permit_by_number(entry, address, port, permitted):
    assert PrivateHosts.parse([entry]).holds(unwrapped(address), port) is permitted


def test_operators_permit_by_name():
    private = PrivateHosts.parse(["intranet.example", "*.lan:8080"])
    assert private.names_host("intranet.example", 1)
    assert private.names_host("a.lan", 8080)
    assert not private.names_host("a.lan", 80)
    assert not private.names_host("evil-intranet.example", 1)
    assert not private.holds(unwrapped("10.0.0.1"), 80)


@pytest.mark.parametrize("entry", ["10.0.0.0/99", "a b", ""])
def test_an_entry_that_is_none_is_refused(entry):
    with pytest.raises(ValueError, match=r"."):
        PrivateHosts.parse([entry])
