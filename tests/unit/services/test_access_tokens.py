"""Access tokens that must not be believed."""

import base64
import hmac
import json

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from codex32.services.access.faults import CredentialsInvalid
from codex32.services.access.signing import Claims, Signer
from codex32.services.safe.keyring import KeyRing

NOW = 1_800_000_000
OLD, NEW = b"o" * 32, b"n" * 32
PURPOSE = b"codex32 access token"


def ring(**keys):
    return KeyRing(keys, "a test")


@pytest.fixture
def signer():
    return Signer(lambda: ring(k1=OLD))


@pytest.fixture
def good(signer):
    return signer.sign(Claims("usr_1", "ses_1", 3, NOW + 900), NOW)


def parts(token):
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2]]


def signed(header, claims, key=OLD):
    """A token that says just this, signed with what the ring's key gives."""
    said = ".".join(encoded(json.dumps(each).encode()) for each in (header, claims))
    derived = hmac.digest(key, PURPOSE, "sha256")
    return f"{said}.{encoded(hmac.digest(derived, said.encode(), 'sha256'))}"


def encoded(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def test_a_token_says_what_it_was_made_to_say(signer, good):
    assert signer.read(good, NOW) == Claims("usr_1", "ses_1", 3, NOW + 900)
    header, claims = parts(good)
    assert header == {"alg": "HS256", "typ": "at+jwt", "kid": "k1"}
    assert set(claims) == {"iss", "aud", "sub", "sid", "ver", "jti", "iat", "nbf", "exp"}


HEADERS = {
    "no algorithm": {"alg": "none"},
    "no algorithm in capitals": {"alg": "nOnE"},
    "an algorithm that is not ours": {"alg": "HS512"},
    "a refresh token": {"typ": "rt+jwt"},
    "a plain token": {"typ": "JWT"},
    "no type": {"typ": None},
    "a key that is not ours": {"kid": "k2"},
    "a key by number": {"kid": 1},
    "no key": {"kid": None},
    "something critical": {"crit": ["x"], "x": 1},
    "a key of its own": {"jwk": {"kty": "oct", "k": encoded(b"x" * 32)}},
    "an address of keys": {"jku": "https://evil.example/keys"},
    "a certificate": {"x5u": "https://evil.example/cert"},
}
CLAIMS = {
    "over": {"exp": NOW},
    "over in words": {"exp": str(NOW + 900)},
    "without end": {"exp": None},
    "at an odd time": {"exp": NOW + 0.5},
    "not yet": {"nbf": NOW + 60},
    "from the future": {"iat": NOW + 60},
    "for others": {"aud": "another"},
    "for several": {"aud": ["codex32", "another"]},
    "for nobody": {"aud": None},
    "by others": {"iss": "another"},
    "by nobody": {"iss": None},
    "of a number": {"sub": 42},
    "of nobody": {"sub": None},
    "of no sign-in": {"sid": None},
    "of no version": {"ver": None},
    "of a version in words": {"ver": "3"},
    "of a true version": {"ver": True},
    "without a name": {"jti": None},
}


def without_nothing(values):
    return {name: value for name, value in values.items() if value is not None}


@pytest.mark.parametrize("change", HEADERS.values(), ids=HEADERS)
def test_a_token_with_another_header_is_refused(signer, good, change):
    header, claims = parts(good)
    with pytest.raises(CredentialsInvalid):
        signer.read(signed(without_nothing({**header, **change}), claims), NOW)


@pytest.mark.parametrize("change", CLAIMS.values(), ids=CLAIMS)
def test_a_token_with_other_claims_is_refused(signer, good, change):
    header, claims = parts(good)
    with pytest.raises(CredentialsInvalid):
        signer.read(signed(header, without_nothing({**claims, **change})), NOW)


def test_the_helper_of_these_tests_signs_as_we_do(signer, good):
    assert signer.read(signed(*parts(good)), NOW).account_id == "usr_1"


@pytest.mark.parametrize(
    "token",
    ["", "a", "a.b", "a.b.c", "a.b.c.d", "..", "\x00.\x00.\x00", "é.é.é", "a" * 5000, "\udcff.."],
)
def test_what_is_no_token_is_refused(signer, token):
    with pytest.raises(CredentialsInvalid):
        signer.read(token, NOW)


def test_a_token_that_was_touched_is_refused(signer, good):
    said, _, proof = good.rpartition(".")
    header, claims = parts(good)
    other = encoded(json.dumps({**claims, "sub": "usr_2"}).encode())
    for token in (
        f"{said}.",
        f"{said}.{proof[:-4]}AAAA",
        f"{said.partition('.')[0]}.{other}.{proof}",
        signed(header, claims, key=b"x" * 32),
    ):
        with pytest.raises(CredentialsInvalid):
            signer.read(token, NOW)


def test_a_key_pair_is_never_taken_for_a_secret(signer, good):
    header, claims = parts(good)
    key = RSAKey.generate_key(2048)
    token = jwt.encode({**header, "alg": "RS256"}, claims, key, algorithms=["RS256"])
    with pytest.raises(CredentialsInvalid):
        signer.read(token, NOW)


def test_two_keys_live_while_they_are_changed_and_one_that_is_gone_signs_nobody_in(good):
    both = Signer(lambda: ring(k2=NEW, k1=OLD))
    assert both.read(good, NOW).version == 3
    fresh = both.sign(Claims("usr_1", "ses_1", 3, NOW + 900), NOW)
    assert parts(fresh)[0]["kid"] == "k2"
    with pytest.raises(CredentialsInvalid):
        Signer(lambda: ring(k2=NEW)).read(good, NOW)


def test_a_process_learns_of_a_key_that_another_one_made():
    rings = [ring(k1=OLD), ring(k2=NEW, k1=OLD)]
    signer = Signer(lambda: rings.pop(0))
    signer.load()
    fresh = Signer(lambda: ring(k2=NEW)).sign(Claims("usr_1", "ses_1", 3, NOW + 900), NOW)
    signer._loaded_at -= 10
    assert signer.read(fresh, NOW).account_id == "usr_1"


def test_a_key_that_was_thrown_away_is_forgotten_within_a_minute(good):
    rings = [ring(k1=OLD), ring(k2=NEW)]
    signer = Signer(lambda: rings.pop(0))
    assert signer.read(good, NOW).account_id == "usr_1"
    signer._loaded_at -= 61
    with pytest.raises(CredentialsInvalid):
        signer.read(good, NOW)
    assert parts(signer.sign(Claims("usr_1", "ses_1", 3, NOW + 900), NOW))[0]["kid"] == "k2"
