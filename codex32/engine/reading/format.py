"""``codex32 fmt``: bot files in one order and one hand, comments and meaning kept.

Keys are put in order as blocks of lines, so that a comment goes where the key below it goes; a
round trip through ruamel.yaml then evens indentation and flow mappings.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from codex32.engine.reading.blocks import above, bounds, is_block
from codex32.engine.reading.document import Document, Place, read_documents
from codex32.engine.reading.key_order import SECTIONS, Rank, rank_of
from codex32.kernel.errors import BotInvalid
from codex32.kernel.problems import Problem

_WIDTH: Final = 4096
_END = re.compile(r"(---|\.\.\.)(\s|$)")


def format_text(text: str) -> str:
    """The same bots in the house's form: keys in order, two spaces, comments where they were.

    Formatting twice gives the same text; the data is read again and must not have changed.

    Raises:
      BotInvalid: The text is no YAML that bot files may use, or it cannot be formatted without
        changing what it says.
    """
    before = _documents(text)
    formatted = _round_trip(_in_order(text, before))
    if [each.value for each in _documents(formatted)] != [each.value for each in before]:
        raise BotInvalid("formatting would change what the file says; nothing was written", ())
    return formatted


def _documents(text: str) -> list[Document]:
    documents = read_documents(text)
    problems: list[Problem] = [problem for each in documents for problem in each.problems]
    if problems:
        raise BotInvalid("the file cannot be formatted:", problems)
    return documents


# blocks of lines


def _in_order(text: str, documents: Sequence[Document]) -> str:
    lines = text.split("\n")
    for document in documents:
        bot = document.place
        if bot is None or not bot.keys:
            continue
        last = max(line for line, _ in bot.keys.values())
        ends = (i for i in range(last, len(lines)) if i > bot.line and _END.match(lines[i]))
        end = next(ends, len(lines))
        while end > last + 1 and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
            end -= 1
        parts = bounds(lines, bot, end)
        # What moves inside an item keeps to the item's lines, so the bot's own come last.
        for section in SECTIONS:
            if section in parts:
                _order_items(lines, bot.parts[section], parts[section][1], rank_of(section))
        _order_blocks(lines, bot, parts, rank_of(None))
    return "\n".join(lines)


def _order_items(lines: list[str], section: Place, end: int, rank: Rank) -> None:
    items = list(section.parts.values())
    for item, following in zip(items, [*items[1:], None], strict=True):
        stop = above(lines, following.line, following.column) if following else end
        if item.keys:
            _order_blocks(lines, item, bounds(lines, item, stop), rank)


def _order_blocks(
    lines: list[str], place: Place, parts: Mapping[str | int, tuple[int, int]], rank: Rank
) -> None:
    keys = list(place.keys)
    wanted = sorted(keys, key=lambda key: rank(str(key)))
    column = place.keys[keys[0]][1]
    first = place.keys[keys[0]][0]
    lead = lines[first][:column]
    if wanted == keys or not is_block(lines, place, lead):
        return
    blank = " " * column
    blocks = {key: lines[start:stop] for key, (start, stop) in parts.items()}
    blocks[keys[0]][0] = blank + lines[first][column:]
    made = [line for key in wanted for line in blocks[key]]
    # The dash of an item stands before its first key, behind that key's comments.
    head = next(
        i
        for i, line in enumerate(made)
        if line[:column] == blank and line[column : column + 1] != "#"
    )
    made[head] = lead + made[head][column:]
    if lead.strip():
        made[:head] = [line.replace(blank, " " * lead.index("-"), 1) for line in made[:head]]
    lines[parts[keys[0]][0] : parts[keys[-1]][1]] = made


# the round trip


def _round_trip(text: str) -> str:
    yaml: Any = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = _WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    documents = [each for each in yaml.load_all(text) if each is not None]
    for bot in documents:
        if isinstance(bot, CommentedMap):
            _order_flow(bot, rank_of(None))
            for section in SECTIONS:
                items = bot.get(section)
                for item in items if isinstance(items, CommentedSeq) else ():
                    _order_flow(item, rank_of(section))
    out = io.StringIO()
    yaml.dump_all(documents, out)
    formatted = out.getvalue().strip("\n")
    return formatted + "\n" if formatted else text


def _order_flow(mapping: Any, rank: Rank) -> None:
    if isinstance(mapping, CommentedMap) and mapping.fa.flow_style():
        for key in sorted(mapping, key=rank):
            mapping.move_to_end(key)
