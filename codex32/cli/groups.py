"""Groups of commands whose help tells of each command in a whole sentence."""

from __future__ import annotations

import click


class Group(click.Group):
    """As click's, but the first sentence of a command goes on in the next line, and is not cut."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the names of the commands and what each does."""
        named = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        shown = [(name, each) for name, each in named if each is not None and not each.hidden]
        if shown:
            with formatter.section("Commands"):
                formatter.write_dl([(name, _sentence(each)) for name, each in shown])


def _sentence(command: click.Command) -> str:
    # As much room as there is text.
    return command.get_short_help_str(limit=max(len(command.help or ""), 3))
