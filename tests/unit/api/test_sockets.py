import subprocess
import sys

import pytest

from codex32.api.network import Peers, source_of
from codex32.api.sockets import Sockets, SocketsFull


def nobody_idles():
    return False


def test_one_address_has_its_part_and_a_proxy_the_whole():
    refused = []
    sockets = Sockets(4, 2, Peers(["10.0.0.0/8"]), refused.append)
    for _ in range(2):
        sockets.enter("203.0.113.9", nobody_idles)
    with pytest.raises(SocketsFull, match="your address has 2"):
        sockets.enter("203.0.113.9", nobody_idles)
    for _ in range(2):
        sockets.enter("10.0.0.1", nobody_idles)
    with pytest.raises(SocketsFull, match="holds 4"):
        sockets.enter("10.0.0.1", nobody_idles)
    assert refused == ["address", "process"]
    sockets.leave("10.0.0.1")
    with pytest.raises(SocketsFull):
        sockets.enter("203.0.113.9", nobody_idles)
    sockets.leave("203.0.113.9")
    sockets.enter("203.0.113.9", nobody_idles)


def test_a_newcomer_takes_the_place_of_who_asks_nothing():
    sockets, asked = Sockets(1), []

    def make_room():
        asked.append("room")
        sockets.leave("203.0.113.9")
        return True

    sockets.enter("203.0.113.9", make_room)
    assert asked == []
    sockets.enter("203.0.113.10", make_room)
    assert asked == ["room"]
    with pytest.raises(SocketsFull):
        sockets.enter("203.0.113.11", nobody_idles)


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::/64"),
        ("a:b", "a:b"),
        ("", ""),
    ],
)
def test_addresses_that_one_owner_has_are_one_source(address, source):
    assert source_of(address) == source


@pytest.mark.parametrize(
    ("soft", "hard", "told"), [(64, 300, "150 300"), (64, 600, "344 600"), (64, 4000, "2000 2256")]
)
def test_the_system_is_asked_for_as_many_files_as_the_connections_need(soft, hard, told):
    program = (
        "import resource\n"
        "from codex32.api.sockets import allowed\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "print(allowed(2000), resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert said.stdout.decode().strip() == told
