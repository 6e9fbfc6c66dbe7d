"""Access tokens: JSON Web Tokens after RFC 9068, signed by the installation's key ring.

HS256 alone, with a key of 256 bits that is derived from a key of the ring and has its id as
``kid``; what else a token's header names (``jku``, ``jwk``, ``x5u``) is never followed. The ring's
present key signs; all its keys verify, so a change of keys signs nobody out.
"""

from __future__ import annotations

import hmac
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from codex32.services.access.faults import CredentialsInvalid
from codex32.services.safe.keyring import KeyRing

if TYPE_CHECKING:
    from joserfc.jwk import OctKey

ISSUER = AUDIENCE = "codex32"
TYPE = "at+jwt"
_PURPOSE = b"codex32 access token"
#: Longer ones are none of ours.
_MAX_CHARACTERS = 4096
#: Keys are read again after so long, and for a token that names another one after so long.
_KEPT_SECONDS, _RELOAD_SECONDS = 60.0, 1.0


@dataclass(frozen=True, slots=True)
class Claims:
    """What an access token says. Times in seconds.

    Attributes:
      account_id: Whose it is.
      session_id: The sign-in that it belongs to.
      version: ``token_version`` of the account when it was made.
    """

    account_id: str
    session_id: str
    version: int
    expires_at: int


class Signer:
    """Makes access tokens and reads them.

    Args:
      ring: Asked for the keys when they are first needed, and when a token names another one.
    """

    def __init__(self, ring: Callable[[], KeyRing]) -> None:
        self._ring = ring
        self._keys: Sequence[OctKey] = ()
        self._loaded_at = 0.0

    def load(self) -> None:
        """Read the keys."""
        from joserfc.jwk import OctKey

        keys = []
        for key_id, key in self._ring().keys.items():
            secret = hmac.digest(key, _PURPOSE, "sha256")
            keys.append(OctKey.import_key(secret, {"kid": key_id, "use": "sig"}))
        self._keys, self._loaded_at = keys, time.monotonic()

    def sign(self, claims: Claims, now: int) -> str:
        """A token that says ``claims``, made at ``now`` (seconds)."""
        from joserfc import jwt

        self._renew(_KEPT_SECONDS)
        key = self._keys[0]
        return jwt.encode(
            {"alg": "HS256", "typ": TYPE, "kid": key.kid},
            {
                "iss": ISSUER,
                "aud": AUDIENCE,
                "sub": claims.account_id,
                "sid": claims.session_id,
                "ver": claims.version,
                "jti": uuid.uuid4().hex,
                "iat": now,
                "nbf": now,
                "exp": claims.expires_at,
            },
            key,
            algorithms=["HS256"],
        )

    def read(self, token: str, now: int) -> Claims:
        """What ``token`` says, if it is one of ours and good at ``now`` (seconds).

        Raises:
          CredentialsInvalid: It is not.
        """
        from joserfc import jwt
        from joserfc.errors import JoseError

        try:
            if len(token) > _MAX_CHARACTERS:
                raise ValueError(token)
            found = jwt.decode(token, self._key, algorithms=["HS256"])
            _check(found.header, found.claims, now)
        except (JoseError, ValueError, TypeError, RecursionError):
            raise CredentialsInvalid("the access token is not, or no longer, good") from None
        said = found.claims
        return Claims(said["sub"], said["sid"], said["ver"], int(said["exp"]))

    def _key(self, token: Any) -> OctKey:
        kid = token.headers().get("kid")
        # Another process may have made a key, or thrown one away; strangers cannot have them
        # read all the time.
        self._renew(_KEPT_SECONDS if self._has(kid) else _RELOAD_SECONDS)
        for key in self._keys:
            if key.kid == kid:
                return key
        raise ValueError("no key of ours")

    def _renew(self, older_than: float) -> None:
        if not self._keys or time.monotonic() - self._loaded_at > older_than:
            self.load()

    def _has(self, kid: object) -> bool:
        return any(key.kid == kid for key in self._keys)


def _check(header: Mapping[str, Any], claims: Mapping[str, Any], now: int) -> None:
    """What signatures do not tell; RFC 8725 wants the kind of a token looked at, too."""
    from joserfc.jwt import JWTClaimsRegistry

    if header.get("typ") != TYPE or set(header) != {"alg", "typ", "kid"}:
        raise ValueError("another kind of token")
    JWTClaimsRegistry(
        now,
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": AUDIENCE},
        exp={"essential": True},
        nbf={"essential": True},
        iat={"essential": True},
    ).validate(dict(claims))
    texts = all(isinstance(claims.get(name), str) for name in ("sub", "sid", "jti", "aud"))
    numbers = all(type(claims.get(name)) is int for name in ("ver", "exp", "nbf", "iat"))
    if not texts or not numbers:
        raise ValueError("claims of other kinds")
