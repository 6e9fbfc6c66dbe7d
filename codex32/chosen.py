"""What the settings choose, in the words of the parts that are told it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from codex32.kernel.components import Components
from codex32.kernel.contracts.secret_store import SecretStore
from codex32.services.access.provider import Client
from codex32.services.safe.keyring import KeySource
from codex32_config import SettingsError

if TYPE_CHECKING:
    from codex32.engine.reading.definition import Reader
    from codex32.kernel.clock import Clock
    from codex32.kernel.contracts.http import HttpClient
    from codex32.kernel.database import Door
    from codex32.kernel.plugins import Plugins
    from codex32.outside.mcp.keeper import McpHouse
    from codex32.services.ai.budgets import Caps
    from codex32.services.ai.gateway import Rules
    from codex32.services.ai.prices import Price, Prices
    from codex32.services.bots.folders import FolderSync
    from codex32.services.bots.registry import Registry
    from codex32_config.ai import PriceSettings
    from codex32_config.settings import OidcSettings, Settings


def openid_client(oidc: OidcSettings) -> Client | None:
    """What an OpenID provider knows this installation by.

    Raises:
      SettingsError: Something is missing.
    """
    if oidc.issuer is None:
        return None
    if oidc.client_id is None or oidc.redirect_url is None:
        raise SettingsError("auth.oidc.issuer needs client_id and redirect_url, too")
    secret = None if oidc.client_secret is None else oidc.client_secret.get_secret_value()
    return Client(oidc.issuer, oidc.client_id, oidc.redirect_url, secret)


def caps(settings: Settings) -> Caps:
    """What models may cost."""
    from codex32.services.ai.budgets import Caps
    from codex32.services.ai.money import nano

    chosen = settings.ai.budget
    month, day, workspace_month, workspace_day = (
        None if amount is None else nano(amount)
        for amount in (
            chosen.month_usd,
            chosen.day_usd,
            chosen.workspace_month_usd,
            chosen.workspace_day_usd,
        )
    )
    return Caps(month, day, workspace_month, workspace_day, chosen.timezone)


def prices(settings: Settings) -> Prices:
    """What models cost, as the operator says."""
    from codex32.services.ai.prices import Prices

    own: Mapping[str, Price] = {name: _price(p) for name, p in settings.ai.prices.items()}
    return Prices(own, settings.ai.unknown_price)


def _price(price: PriceSettings) -> Price:
    from codex32.services.ai.prices import FREE, Price

    if price.free or price.input_usd is None:
        return FREE
    input_usd, output_usd, cached, write = (
        None if amount is None else Decimal(repr(amount))
        for amount in (
            price.input_usd,
            price.output_usd,
            price.cached_input_usd,
            price.cache_write_usd,
        )
    )
    assert input_usd is not None
    assert output_usd is not None
    return Price(input_usd, output_usd, cached, write)


def model_rules(settings: Settings) -> Rules:
    """How models are called."""
    from codex32.services.ai.gateway import Rules

    chosen = settings.ai
    return Rules(chosen.call_seconds, chosen.max_tokens, chosen.repairs)


def key_source(settings: Settings) -> KeySource:
    """Where the keys come from that secrets are sealed with."""
    keys = settings.secrets.keys
    return KeySource(None if keys is None else keys.get_secret_value(), settings.keys_file)


def secret_stores(settings: Settings, components: Components) -> Sequence[SecretStore]:
    """The stores that are asked for secrets, in their order.

    Raises:
      ComponentNotFound: One that the settings name is not installed.
    """
    order = settings.secrets.stores
    if order is None:
        return tuple(components.secret_stores.values())
    return tuple(components.secret_store(scheme) for scheme in order)


def public_url(settings: Settings) -> str | None:
    """Where people reach the API; None where the settings do not tell."""
    api = settings.api
    if api.public_url is not None:
        return api.public_url.rstrip("/")
    here = api.host in ("127.0.0.1", "localhost") and api.port
    return f"http://{api.host}:{api.port}" if here else None


def folder_sync(
    settings: Settings,
    plugins: Plugins,
    reader: Reader,
    registry: Registry,
    door: Door,
    clock: Clock,
) -> FolderSync:
    """What keeps the registry at what the folders of bots hold."""
    from codex32.services.bots.folders import FolderSync
    from codex32.services.bots.known_files import KnownFiles

    known = KnownFiles(settings.home / "bots.known.json", _readers(settings, plugins))
    folders, workspace = settings.bots.folders, settings.bots.workspace
    return FolderSync(
        folders, reader, registry, door, workspace=workspace, clock=clock, known=known
    )


def _readers(settings: Settings, plugins: Plugins) -> str:
    """What decides how a bot file is read: all that is installed, and how it is set."""
    # Versions tell nothing of a checkout that is worked on; the newest file does.
    ours = Path(__file__).parent.rglob("*.py")
    newest = max((path.stat().st_mtime_ns for path in ours), default=0)
    unsigned = settings.bots.unsigned_webhooks
    return repr((newest, plugins.records, sorted(settings.plugins.items()), unsigned))


def mcp_servers(settings: Settings, http: Callable[[Sequence[str]], HttpClient]) -> McpHouse:
    """The MCP servers that bots may use; belongs to the running event loop."""
    from codex32.outside.mcp.grants import Grant
    from codex32.outside.mcp.keeper import McpHouse, Server

    servers = {
        name: Server(
            command=each.command,
            url=each.url or "",
            environment=each.env,
            headers=each.headers,
            grant=None if each.oauth is None else Grant(**each.oauth.model_dump()),
            workspaces=each.workspaces,
        )
        for name, each in settings.mcp.servers.items()
    }
    return McpHouse(servers, http, settings.folder, settings.mcp.processes)
