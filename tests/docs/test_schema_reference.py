"""The reference of the schema names every table and every column, in order."""

import re
from pathlib import Path

from codex32.kernel.models import ROWS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "schema.md").read_text()


def described():
    """Table to the columns that its section names, in order."""
    parts = re.findall(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    rows = {table: re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE) for table, text in parts}
    return {table: re.findall(r"`(\w+)`", " ".join(cells)) for table, cells in rows.items()}


def test_every_table_has_its_section_in_the_order_of_the_models():
    assert list(described()) == [row._meta.table_name for row in ROWS]


def test_every_column_is_described_and_no_other():
    there = {row._meta.table_name: set(row._meta.columns) for row in ROWS}
    assert {table: set(columns) for table, columns in described().items()} == there
    assert all(len(columns) == len(set(columns)) for columns in described().values())
