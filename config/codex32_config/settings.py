"""Every setting of the house, checked; ``default.yaml`` beside this file holds the defaults.

Defaults < files < environment < overrides. Without files by name (``--config``, or
``CODEX32_CONFIG`` with the names separated as in ``PATH``) the project's ``codex32.yaml`` is
read if it is there. The models repeat no default: what is not in ``default.yaml`` is missing.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files as resources
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import ErrorDetails

from codex32_config.ai import AiSettings
from codex32_config.builder import BuilderSettings
from codex32_config.hiding import masked, secrets_of
from codex32_config.layers import (
    Layer,
    SettingsError,
    from_environment,
    from_mapping,
    from_yaml,
    merged,
)
from codex32_config.mcp import McpSettings
from codex32_config.observing import LogSettings, MetricsSettings, TracingSettings
from codex32_config.retention import RetentionSettings
from codex32_config.retrieval import RetrievalSettings
from codex32_config.table import Table

PROJECT_FILE = "codex32.yaml"


def _split(value: Any) -> Any:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _in_folder(path: Path, info: ValidationInfo) -> Path:
    folder: Path = info.context["folder"] if info.context else Path.cwd()
    return folder / path.expanduser()


def _database(url: str, info: ValidationInfo) -> str:
    url = url.replace("{home}", str(info.data.get("home", "")))
    if url.startswith(("postgresql://", "postgres://")):
        return url
    if not url.startswith("sqlite:///") or url == "sqlite:///":
        raise ValueError("write sqlite:///PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME")
    return f"sqlite:///{_in_folder(Path(url.removeprefix('sqlite:///')), info)}"


def _issuer(url: str) -> str:
    if not re.fullmatch(r"https://\S+|http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(/\S*)?", url):
        raise ValueError("write https://HOST/…; http is for this machine alone")
    return url


def _address(url: str) -> str:
    if not re.fullmatch(r"https?://[^\s?#]+", url):
        raise ValueError("write the address at which people reach the API: https://HOST")
    return url


def _redis(url: str) -> str:
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("write redis://HOST:PORT/0, rediss://… or unix:///PATH")
    return url


def _programs(value: Any) -> Any:
    return max(2 * (os.cpu_count() or 1), 4) if value is None else value


_V = TypeVar("_V")
#: A list, or in the environment a text with commas.
_Several = Annotated[tuple[_V, ...], BeforeValidator(_split)]
_Folder = Annotated[Path, AfterValidator(_in_folder)]


class BotSettings(Table):
    """Where bot files are."""

    folders: _Several[_Folder]
    poll_seconds: PositiveFloat
    workspace: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
    unsigned_webhooks: bool


class ApprovalSettings(Table):
    """What people have to approve."""

    capabilities: bool


class RateSettings(Table):
    """How often one caller may call, a minute."""

    normal: PositiveInt | None
    start: PositiveInt | None
    sign_in: PositiveInt | None


def _networks(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        ip_network(value)
    return values


def _origin(value: str) -> str:
    if not re.fullmatch(r"https?://[a-z0-9.-]+(:\d+)?", value):
        raise ValueError("must be an origin as browsers send it, such as https://app.example.com")
    return value


class ApiSettings(Table):
    """The HTTP API."""

    host: str
    port: Annotated[int, Field(ge=0, le=65535)]
    public_url: Annotated[str, AfterValidator(_address)] | None
    token: SecretStr | None
    streams: PositiveInt
    sockets: PositiveInt
    sockets_per_address: PositiveInt
    docs: bool
    trusted_proxies: Annotated[_Several[str], AfterValidator(_networks)] | None
    cors_origins: _Several[Annotated[str, AfterValidator(_origin)]] | None
    rates: RateSettings


class OidcSettings(Table):
    """Signing in at an OpenID provider."""

    issuer: Annotated[str, AfterValidator(_issuer)] | None
    client_id: str | None
    client_secret: SecretStr | None
    redirect_url: str | None
    domains: _Several[str] | None
    create: bool


class AuthSettings(Table):
    """How people sign in."""

    password_grant: bool
    registration: bool
    access_minutes: Annotated[float, Field(ge=1, le=15)]
    session_days: PositiveFloat
    mail: str | None
    oidc: OidcSettings


class WorkerSettings(Table):
    """The processes that make attempts."""

    processes: PositiveInt
    concurrency: PositiveInt
    threads: PositiveInt
    programs: Annotated[PositiveInt, BeforeValidator(_programs)]
    lease_seconds: PositiveFloat
    stop_grace_seconds: NonNegativeFloat


class RecoverySettings(Table):
    """Mending what was lost."""

    interval_seconds: PositiveFloat
    max_deaths: PositiveInt


class SchedulerSettings(Table):
    """Firing due triggers."""

    interval_seconds: PositiveFloat
    missed_after_seconds: PositiveFloat
    events_interval_seconds: PositiveFloat
    files_interval_seconds: PositiveFloat
    alerts_interval_seconds: PositiveFloat


class StorageSettings(Table):
    """Values too long for a row."""

    inline_bytes: PositiveInt
    directory: _Folder | None


class SandboxSettings(Table):
    """What keeps Python steps in."""

    backend: str
    accept_less: bool
    model_code: Literal["machine", "namespace", "process", "plain"]


class PackageSettings(Table):
    """Packages that Python steps require."""

    index_url: SecretStr | None
    find_links: _Several[str]
    offline: bool
    timeout_seconds: PositiveFloat
    keep_days: PositiveFloat | None
    max_mib: PositiveFloat | None


class WebhookSettings(Table):
    """Outbound webhooks."""

    timeout_seconds: Annotated[float, Field(ge=1, le=60)]
    keep_days: PositiveFloat | None


class OutsideSettings(Table):
    """The way out."""

    private_hosts: _Several[str]


class SecretSettings(Table):
    """Secret stores, and the keys of the database's own."""

    stores: _Several[str] | None
    workspaces: _Several[str]
    keys: SecretStr | None


class LoadingSettings(Table):
    """Which plugins are loaded."""

    allow: _Several[str] | None
    block: _Several[str]
    strict: bool


class UpSettings(Table):
    """The command ``codex32 up``."""

    companions: _Several[str]


class Settings(Table):
    """All settings, complete, checked and unchangeable; made by :func:`load_settings`."""

    home: _Folder
    database_url: Annotated[str, AfterValidator(_database), Field(repr=False)]
    redis_url: Annotated[str, AfterValidator(_redis)] | None = Field(repr=False)
    dispatcher: str
    bots: BotSettings
    approvals: ApprovalSettings
    api: ApiSettings
    auth: AuthSettings
    worker: WorkerSettings
    recovery: RecoverySettings
    scheduler: SchedulerSettings
    storage: StorageSettings
    retention: RetentionSettings
    sandbox: SandboxSettings
    packages: PackageSettings
    webhooks: WebhookSettings
    outside: OutsideSettings
    secrets: SecretSettings
    ai: AiSettings
    builder: BuilderSettings
    retrieval: RetrievalSettings
    mcp: McpSettings
    loading: LoadingSettings
    log: LogSettings
    metrics: MetricsSettings
    tracing: TracingSettings
    up: UpSettings
    plugins: dict[str, dict[str, Any]] = Field(repr=False)

    _places: dict[tuple[str, ...], str] = PrivateAttr(default_factory=dict)
    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    @property
    def folder(self) -> Path:
        """The project folder, absolute."""
        return self._folder

    @property
    def token_file(self) -> Path:
        """Where the admin token is kept when none is set."""
        return self.home / "token"

    @property
    def keys_file(self) -> Path:
        """Where the keys of secrets are kept when none are set."""
        return self.home / "keys"

    @property
    def payload_directory(self) -> Path:
        """Where values too long for a row are kept."""
        return self.storage.directory or self.home / "payloads"

    def where(self, name: str) -> str:
        """Where a setting's value comes from: a file and line, a variable, or ``default``.

        Args:
          name: Dotted: ``worker.processes``.
        """
        return _place(self._places, tuple(name.split(".")))

    def redacted(self) -> dict[str, Any]:
        """Every setting as JSON, secrets and passwords in URLs masked."""
        shown: dict[str, Any] = masked(self.model_dump(mode="json"))
        return shown

    def secret_values(self) -> Iterator[str]:
        """Every secret that is set, for masking alone; passwords in URLs are not among them."""
        yield from secrets_of(self)


def load_settings(
    *,
    folder: Path | None = None,
    files: Sequence[Path] = (),
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Put the layers together and check the whole.

    Args:
      folder: The project folder, from which relative paths are meant; default: the present one.
      files: YAML files instead of the project's own, later ones win.
      overrides: Values that win over everything; keys may be dotted.
      environ: Instead of the process's environment.

    Raises:
      SettingsError: All faults, a line each.
    """
    environ = os.environ if environ is None else environ
    root = (folder or Path.cwd()).absolute()
    layers = [_defaults()]
    layers += [_file(root / path, str(path)) for path in _named(root, files, environ)]
    layers += [from_environment(environ), from_mapping(overrides or {}, "the command line")]
    whole = merged(layers)
    try:
        settings = Settings.model_validate(whole.values, context={"folder": root})
    except ValidationError as error:
        told = [_tell(each, whole) for each in error.errors(include_url=False)]
        raise SettingsError("\n".join(told)) from None
    settings._places, settings._folder = whole.places, root
    return settings


@cache
def _defaults() -> Layer:
    text = resources("codex32_config").joinpath("default.yaml").read_text(encoding="utf-8")
    layer = from_yaml(text, "default.yaml")
    return Layer(layer.values, dict.fromkeys(layer.places, "default"))


def _named(root: Path, files: Sequence[Path], environ: Mapping[str, str]) -> Sequence[Path]:
    if files:
        return files
    if named := environ.get("CODEX32_CONFIG"):
        return [Path(name).expanduser() for name in named.split(os.pathsep) if name]
    return [Path(PROJECT_FILE)] if (root / PROJECT_FILE).exists() else []


def _file(path: Path, shown: str) -> Layer:
    try:
        return from_yaml(path.read_text(encoding="utf-8"), shown)
    except OSError as error:
        raise SettingsError(f"{shown}: it cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{shown}: it is no UTF-8 text") from None


def _tell(error: ErrorDetails, whole: Layer) -> str:
    key = tuple(str(part) for part in error["loc"])
    place, name = _place(whole.places, key), ".".join(key)
    if error["type"] == "extra_forbidden":
        close = difflib.get_close_matches(key[-1], _siblings(key), n=1, cutoff=0.6)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        return f"{place}: {name}: no setting has this name{hint}"
    told = error["msg"].removeprefix("Value error, ")
    return f"{place}: {name}: {told[0].lower()}{told[1:]}"


def _siblings(key: tuple[str, ...]) -> list[str]:
    table: Any = _defaults().values
    for name in key[:-1]:
        table = table.get(name, {})  # nobody knows beforehand what an operator calls something
    return list(table)


def _place(places: Mapping[tuple[str, ...], str], key: tuple[str, ...]) -> str:
    for end in range(len(key), 0, -1):
        if key[:end] in places:
            return places[key[:end]]
    return "default"
