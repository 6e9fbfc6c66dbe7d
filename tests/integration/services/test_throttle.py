"""How often somebody may fail to sign in."""

import pytest

from codex32.kernel.account_rows import SignInCountRow
from codex32.services.access import throttle

SECOND = 1_000_000
HERE, NEAR, FAR = "192.0.2.7", "192.0.2.200", "198.51.100.1"


@pytest.fixture
def fail(door):
    def call(who, address, now, times=1):
        for _ in range(times):
            door.write_now(lambda: throttle.failed(who, address, now))

    return call


@pytest.fixture
def wait(door):
    return lambda who, address, now: door.read_now(throttle.wait, who, address, now)


def test_five_failures_are_free_and_each_further_one_doubles_the_pause(fail, wait):
    now = 0
    fail("anna", HERE, now, 4)
    assert wait("anna", HERE, now) == 0
    pauses = []
    for _ in range(13):
        fail("anna", HERE, now)
        pauses.append(wait("anna", HERE, now))
        now += int(pauses[-1] * SECOND)
        assert wait("anna", HERE, now) == 0
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_nobody_locks_an_owner_out_from_another_network(fail, wait):
    fail("anna", FAR, 0, 30)
    assert wait("anna", HERE, 0) == 0
    assert wait("ANNA ", FAR, 0) > 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_one_network_does_not_try_one_password_on_many_accounts(fail, wait):
    for number in range(throttle.FREE_NETWORK):
        assert wait("somebody", NEAR, 0) == 0
        fail(f"user{number}", HERE, 0)
    assert wait("somebody", NEAR, 0) == 1
    assert wait("somebody", FAR, 0) == 0
    for number in range(20):
        fail(f"other{number}", HERE, 0)
    assert wait("somebody", NEAR, 0) == 60  # who did nothing is not held up for long


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_success_forgets_the_account_and_not_the_network(door, fail, wait):
    fail("anna", HERE, 0, 5)
    door.write_now(lambda: throttle.succeeded("anna", HERE))
    assert wait("anna", HERE, 0) == 0
    assert [row.failures for row in SignInCountRow.select()] == [5]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_hour_without_a_failure_forgets(fail, wait):
    fail("anna", HERE, 0, 6)
    fail("anna", HERE, throttle.FORGET_MICROS)
    assert wait("anna", HERE, throttle.FORGET_MICROS) == 0


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_addresses_count_with_their_network(address, network):
    assert throttle.network_of(address) == network
