"""The hooks of the ways out: what the house itself offers to keep programs in."""
# ruff: noqa: D103 - the specifications say what each hook is for.

from codex32.kernel.contracts.sandbox import SandboxBackend
from codex32.kernel.markers import hookimpl


@hookimpl
def register_sandboxes() -> list[SandboxBackend]:
    from codex32.outside.sandboxes.linux import NamespaceSandbox, PlainSandbox, ProcessSandbox

    return [NamespaceSandbox(), ProcessSandbox(), PlainSandbox()]
