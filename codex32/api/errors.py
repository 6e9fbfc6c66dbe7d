"""Errors as problem documents (RFC 9457); no other place knows which error has which status."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import (
    BadStatusLine,
    ContentEncodingError,
    HttpProcessingError,
    InvalidHeader,
    InvalidURLError,
    LineTooLong,
)

from codex32.api.rates import TooManyRequests
from codex32.api.sockets import SocketsFull
from codex32.kernel import errors as kernel
from codex32.kernel import vector_errors as vectors
from codex32.kernel.database import is_outage
from codex32.kernel.errors import AccessDenied, Codex32Error
from codex32.kernel.payloads import PayloadMissing
from codex32.kernel.problems import Problem
from codex32.services.access import faults
from codex32.services.alerts.alerts import AlertNotFound
from codex32.services.building.faults import (
    AnswersInvalid,
    BuildConflict,
    BuilderUnset,
    BuildNotFound,
    SecretsWritten,
)
from codex32.services.events.outbound_deliveries import DeliveryNotFound, EndpointDisabled
from codex32.services.events.outbound_endpoints import EndpointInvalid, EndpointNotFound
from codex32.services.executions.repairing import NothingToRepair
from codex32.services.retrieval.holding import CollectionBusy
from codex32.services.retrieval.retrieval import DocumentNotFound, EmbedderChanged
from codex32.services.safe.connections import ConnectionInvalid
from codex32.services.safe.keyring import KeyMissing, KeyRingInvalid
from codex32.services.safe.requests import RequestUnderWay, RequestUnsure
from codex32.services.safe.secrets import SecretInvalid
from codex32.services.triggers.webhooks import DeliveryRefused

log = logging.getLogger(__name__)

#: How bodies of requests may be packed.
ENCODINGS = "gzip, deflate"


class Unauthorized(Codex32Error):
    """The caller is not known."""

    code = "unauthorized"


class InvalidToken(Unauthorized):
    """A token was sent, and it is nobody's, or no longer good."""

    code = "invalid-token"


class NothingHere(Codex32Error):
    """Nothing stands at this address."""

    code = "not-found"


class MethodNotAllowed(Codex32Error):
    """The address does not answer this method."""

    code = "method-not-allowed"


class BodyTooLarge(Codex32Error):
    """The request's body is too large."""

    code = "body-too-large"


class BodyTooSlow(Codex32Error):
    """The request's body was waited for too long."""

    code = "body-too-slow"


class MediaTypeUnsupported(Codex32Error):
    """The request's body is of a kind that is not read."""

    code = "media-type-unsupported"


class EncodingUnsupported(Codex32Error):
    """The request's body is packed in a way that is not read."""

    code = "encoding-unsupported"

    def __init__(self) -> None:
        super().__init__(f"send the body as it is, or packed as one of {ENCODINGS}")


class RequestMalformed(Codex32Error):
    """The request is no HTTP, or contradicts itself."""

    code = "request-malformed"


class BodyMalformed(Codex32Error):
    """The request's body cannot be read."""

    code = "body-malformed"


class RequestInvalid(Codex32Error):
    """The request has faults; all of them are listed."""

    code = "request-invalid"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("the request has faults; see errors")
        self.problems = tuple(problems)


class PreconditionFailed(Codex32Error):
    """What is there is not what the request says that it must be."""

    code = "precondition-failed"


class ConcurrencyFull(Codex32Error):
    """The bot runs as often as it may, and says that more is not to wait."""

    code = "concurrency-full"


class DeliveryInvalid(Codex32Error):
    """What was delivered to a webhook is not what its bot takes."""

    code = "delivery-invalid"


class NotNow(Codex32Error):
    """What was delivered to a webhook cannot be taken just now; delivering it again helps."""

    code = "not-now"


class ResultFailed(Codex32Error):
    """The execution whose result a webhook should answer did not succeed."""

    code = "result-failed"


class DatabaseUnavailable(Codex32Error):
    """The database does not answer; trying again helps."""

    code = "database-unavailable"


class Internal(Codex32Error):
    """Something went wrong inside."""

    code = "internal"


#: The nearest class above an error decides; what is not named here is a fault of ours.
STATUSES: Mapping[type[Codex32Error], int] = {
    RequestMalformed: 400,
    BodyMalformed: 400,
    faults.WorkspaceMissing: 400,
    faults.CodeInvalid: 400,
    Unauthorized: 401,
    faults.CredentialsInvalid: 401,
    faults.GrantNotOffered: 403,
    faults.ProviderRefused: 403,
    faults.ScopesRefused: 403,
    faults.PasswordWrong: 403,
    DeliveryRefused: 401,
    kernel.AccessDenied: 403,
    NothingHere: 404,
    kernel.BotNotFound: 404,
    kernel.VersionNotFound: 404,
    kernel.ExecutionNotFound: 404,
    kernel.StepNotFound: 404,
    kernel.StateNotFound: 404,
    kernel.ApprovalNotFound: 404,
    kernel.ComponentNotFound: 404,
    vectors.CollectionNotFound: 404,
    DocumentNotFound: 404,
    BuildNotFound: 404,
    EndpointNotFound: 404,
    AlertNotFound: 404,
    DeliveryNotFound: 404,
    kernel.SecretNotFound: 404,
    kernel.ConnectionNotFound: 404,
    faults.AccountNotFound: 404,
    faults.WorkspaceNotFound: 404,
    faults.MemberNotFound: 404,
    faults.SessionNotFound: 404,
    faults.KeyNotFound: 404,
    MethodNotAllowed: 405,
    BodyTooSlow: 408,
    ConcurrencyFull: 409,
    kernel.BotExists: 409,
    kernel.BotDisabled: 409,
    kernel.BotInvalid: 409,
    kernel.BotReadOnly: 409,
    kernel.InvalidTransition: 409,
    kernel.RetryRefused: 409,
    NothingToRepair: 409,
    kernel.BackfillRefused: 409,
    kernel.EffectsRepeated: 409,
    kernel.IdempotencyConflict: 409,
    RequestUnderWay: 409,
    RequestUnsure: 409,
    kernel.ApprovalSettled: 409,
    CollectionBusy: 409,
    BuildConflict: 409,
    BuilderUnset: 409,
    SecretsWritten: 409,
    EmbedderChanged: 409,
    EndpointDisabled: 409,
    faults.AccountTaken: 409,
    faults.LastAdministrator: 409,
    faults.WorkspaceTaken: 409,
    faults.WorkspaceInUse: 409,
    PayloadMissing: 410,
    PreconditionFailed: 412,
    BodyTooLarge: 413,
    MediaTypeUnsupported: 415,
    EncodingUnsupported: 415,
    RequestInvalid: 422,
    DeliveryInvalid: 422,
    kernel.EventInvalid: 422,
    kernel.InputsInvalid: 422,
    kernel.FormInvalid: 422,
    kernel.TriggerInvalid: 422,
    kernel.StepFault: 422,
    AnswersInvalid: 422,
    vectors.DimensionMismatch: 422,
    vectors.MetricMismatch: 422,
    vectors.RecordInvalid: 422,
    vectors.FilterInvalid: 422,
    faults.PasswordRefused: 422,
    faults.TooManyTries: 429,
    TooManyRequests: 429,
    faults.ProviderFailed: 502,
    SecretInvalid: 422,
    EndpointInvalid: 422,
    ConnectionInvalid: 422,
    ResultFailed: 502,
    NotNow: 503,
    DatabaseUnavailable: 503,
    KeyMissing: 503,
    KeyRingInvalid: 503,
    kernel.StreamsFull: 503,
    SocketsFull: 503,
    kernel.SchemaOutOfDate: 503,
}

_CHALLENGE = 'Bearer realm="codex32"'


def status_of(error: Codex32Error) -> int:
    """The status that tells of ``error``."""
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)


def told(error: Exception) -> tuple[Codex32Error, Mapping[str, str]]:
    """What a caller may know of an error, and the headers that go with it; the rest is logged."""
    if isinstance(error, web.HTTPException):
        known = _of_aiohttp(error)
        allowed = error.headers.get("Allow")
        return known, {"Allow": allowed} if allowed else {}
    if isinstance(error, ContentEncodingError):  # the library would know it with one more library
        error = EncodingUnsupported()
    elif isinstance(error, HttpProcessingError):
        error = RequestMalformed(_of_parser(error))
    if is_outage(error):
        log.warning("the database does not answer: %s", error)
        error = DatabaseUnavailable("the database does not answer; try again in a while")
    if not isinstance(error, Codex32Error) or status_of(error) == 500:
        log.error("a request failed", exc_info=error)
        error = Internal("something went wrong inside; the log holds it under the request id")
    return error, headers_of(error)


def headers_of(error: Codex32Error) -> Mapping[str, str]:
    """The headers that go with an error: what RFC 6750 wants of tokens, and when to come again."""
    if isinstance(error, AccessDenied):
        told = f'{_CHALLENGE}, error="insufficient_scope", scope="{error.scope}"'
        return {"WWW-Authenticate": told}
    match status_of(error):
        case 401 if type(error) is Unauthorized:  # who sent none is told no fault of it
            return {"WWW-Authenticate": _CHALLENGE}
        case 401:
            return {"WWW-Authenticate": f'{_CHALLENGE}, error="invalid_token"'}
        case 415 if isinstance(error, EncodingUnsupported):
            return {"Accept-Encoding": ENCODINGS}
        case 429:
            seconds: float = getattr(error, "retry_after_seconds", 1.0)
            later = {"Retry-After": str(math.ceil(seconds))}
            stands = error.standing.headers() if isinstance(error, TooManyRequests) else {}
            return {**later, **stands}
        case 409 if isinstance(error, RequestUnderWay):
            return {"Retry-After": "1"}
        case 503:
            return {"Retry-After": "5"}
    return {}


def _of_aiohttp(error: web.HTTPException) -> Codex32Error:
    match error.status:
        case 404:
            return NothingHere("nothing stands at this address; see /api/v1/openapi.json")
        case 405:
            return MethodNotAllowed("this address does not answer this method; see Allow")
        case 417:
            return RequestMalformed("the header Expect may hold `100-continue` alone")
        case status if status < 500:
            return RequestMalformed("the request cannot be read")
    return Internal("something went wrong inside; the log holds it under the request id")


def _of_parser(error: HttpProcessingError) -> str:
    """What is wrong with the bytes of a request; its own text quotes them."""
    match error:
        case LineTooLong():
            return "its first line, or a header, is too long"
        case InvalidHeader():
            return "a header is malformed"
        case BadStatusLine() | InvalidURLError():
            return "its first line is malformed"
    return "it is no HTTP/1.1"


def document(error: Codex32Error, request_id: str) -> dict[str, Any]:
    """The problem document of an error."""
    problems: Sequence[Problem] = getattr(error, "problems", ())
    data = {
        "type": f"urn:codex32:problem:{error.code}",
        "title": (inspect.getdoc(type(error)) or "").partition("\n")[0].rstrip("."),
        "status": status_of(error),
        "detail": error.message.partition("\n")[0].rstrip(":") if problems else error.message,
        "code": error.code,
        "request_id": request_id,
    }
    if problems:
        data["errors"] = [
            {name: value for name, value in problem.as_dict().items() if value}
            for problem in problems
        ]
    return data
