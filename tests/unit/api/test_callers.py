import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from codex32.api.callers import Gatekeeper, TokenMissing, admin_token
from codex32.api.errors import Unauthorized
from codex32.kernel.caller import Caller
from codex32_config.settings import load_settings


@pytest.fixture
def settings(tmp_path):
    return load_settings(folder=tmp_path, environ={})


def test_several_first_starts_at_once_agree_on_one_token(settings):
    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(lambda _: admin_token(settings), range(8)))
    assert len(tokens) == 1
    assert len(tokens.pop()) >= 40
    assert [path.name for path in settings.home.iterdir()] == ["token"]
    assert stat.S_IMODE(settings.token_file.stat().st_mode) == 0o600


def test_a_token_that_is_set_is_never_written(tmp_path):
    settings = load_settings(folder=tmp_path, overrides={"api.token": "mine"}, environ={})
    assert admin_token(settings) == "mine"
    assert not settings.token_file.exists()


def test_an_empty_place_lets_nobody_in(tmp_path, settings):
    settings.home.mkdir()
    settings.token_file.write_text("\n")
    with pytest.raises(TokenMissing, match="token holds no token; remove it"):
        admin_token(settings)
    empty = load_settings(folder=tmp_path, overrides={"api.token": ""}, environ={})
    with pytest.raises(TokenMissing, match=r"api\.token"):
        admin_token(empty)


def sent(header):
    return {} if header is None else {"Authorization": header}


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer t2", "Token t", "t"])
async def test_nobody_is_recognised_without_the_token(header):
    with pytest.raises(Unauthorized):
        await Gatekeeper("t").recognise(sent(header))


@pytest.mark.parametrize("header", ["Bearer t", "bearer t", "BEARER t"])
async def test_the_scheme_may_be_written_in_any_case(header):
    caller = await Gatekeeper("t").recognise(sent(header))
    assert caller.may("anything")


def test_permissions_are_compared_whole():
    caller = Caller("user", "u", "c", permissions=frozenset({"bots.read"}))
    assert caller.may("bots.read")
    assert not caller.may("bots")
    assert not caller.may("bots.read.all")
