"""The C++ library's own environments: types, extensions, and the functions this house adds.

Whoever imports this module loads the library, which takes 17 MB: it is imported by the first
expression that has to be read.
"""

from __future__ import annotations

from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_encoders, ext_math, ext_optional, ext_strings

_TYPES: dict[str, Any] = {
    "string": cel.Type.STRING,
    "integer": cel.Type.INT,
    "boolean": cel.Type.BOOL,
    "dyn": cel.Type.DYN,
}


def _function(name: str, result: Any, parameter: Any) -> Any:
    overload = cel.Overload(f"{name}_codex32", return_type=result, parameters=[parameter])
    return cel.FunctionDecl(name, [overload])


_OURS = [
    _function("json", cel.Type.STRING, cel.Type.DYN),
    _function("parse_json", cel.Type.DYN, cel.Type.STRING),
    _function("distinct", cel.Type.LIST, cel.Type.LIST),
    _function("sort", cel.Type.LIST, cel.Type.LIST),
    _function("flatten", cel.Type.LIST, cel.Type.LIST),
]
_EXTENSIONS = [
    ext_strings.ExtStrings(),
    ext_math.ExtMath(),
    ext_optional.ExtOptional(),
    ext_encoders.ExtEncoders(),
]


def new_environment(variables: frozenset[tuple[str, str]]) -> Any:
    """An environment that declares these variables: pairs of name and type."""
    declared = {name: _type(kind) for name, kind in variables}
    return cel.NewEnv(variables=declared, extensions=_EXTENSIONS, functions=_OURS)


def _type(kind: str) -> Any:
    if kind.startswith("list:"):
        return cel.Type.List(_type(kind[5:]))
    return _TYPES[kind]
