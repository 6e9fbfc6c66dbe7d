"""CEL: parsed and type-checked by the C++ library, evaluated here under exact limits.

The library's own runtime cannot be bounded (docs/reference/expressions.md has the figures): its
lists grow by copying, its strings without limit, and deeply nested data ends the process.
"""
