"""``codex32 completion``: the script that lets a shell complete commands."""

from __future__ import annotations

import click

_ENABLE = {
    "bash": 'eval "$(codex32 completion bash)"     # in ~/.bashrc',
    "zsh": 'eval "$(codex32 completion zsh)"      # in ~/.zshrc',
    "fish": "codex32 completion fish | source     # in ~/.config/fish/config.fish",
}


@click.command(epilog="\b\n" + "\n".join(_ENABLE.values()))
@click.argument("shell", type=click.Choice(list(_ENABLE)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    root = ctx.find_root().command
    click.echo(found(root, {}, "codex32", "_CODEX32_COMPLETE").source())
