"""What several suites need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import fastjsonschema

from codex32.kernel.components import KINDS
from codex32.kernel.conformance import faults_of


def faults(key: str, component: Any) -> list[str]:
    """What the house would refuse the component for, at load."""
    kind = next(kind for kind in KINDS if kind.key == key)
    return faults_of(kind, component)


def fits(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether ``value`` fits a JSON Schema; defaults are not filled in, formats not looked at."""
    try:
        fastjsonschema.validate(dict(schema), value, use_default=False, use_formats=False)
    except fastjsonschema.JsonSchemaValueException:
        return False
    return True
