"""Sandboxes and packages as the settings want them."""

from __future__ import annotations

from collections.abc import Mapping

from codex32.kernel.contracts.sandbox import SandboxBackend, SandboxLevel
from codex32.outside.packages.environments import Environments, PackageRules
from codex32.outside.packages.installers import Sources
from codex32.outside.packages.shelf import Shelf
from codex32.outside.sandboxes.choice import SandboxRules
from codex32.outside.sandboxes.runner import SandboxedRunner
from codex32_config.settings import Settings


def runner(settings: Settings, sandboxes: Mapping[str, SandboxBackend]) -> SandboxedRunner:
    """Runs the Python of bots; belongs to the running event loop."""
    return SandboxedRunner(
        sandboxes,
        sandbox_rules(settings),
        max_parallel=settings.worker.programs,
        private_hosts=settings.outside.private_hosts,
        packages=Environments(package_shelf(settings).folder, package_rules(settings)),
    )


def sandbox_rules(settings: Settings) -> SandboxRules:
    """What the operator wants of sandboxes."""
    chosen = settings.sandbox
    model_code = SandboxLevel[chosen.model_code.upper()]
    return SandboxRules(chosen.backend, chosen.accept_less, model_code)


def package_rules(settings: Settings) -> PackageRules:
    """What the operator wants of packages."""
    chosen = settings.packages
    index = None if chosen.index_url is None else chosen.index_url.get_secret_value()
    return PackageRules(
        Sources(index, chosen.find_links, chosen.offline),
        timeout_seconds=chosen.timeout_seconds,
        keep_days=chosen.keep_days,
        max_mib=chosen.max_mib,
    )


def package_shelf(settings: Settings) -> Shelf:
    """Where this home folder keeps packages."""
    return Shelf(settings.home / "packages")
