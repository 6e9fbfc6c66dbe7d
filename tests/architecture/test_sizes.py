"""How long things may be, and that their names say what they are."""

import ast
from statistics import median

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def spans(sources, kinds):
    """Lines of each definition, without its docstring: words are not weight."""
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, kinds):
                doc = node.body[0] if ast.get_docstring(node) is not None else None
                words = doc.end_lineno - doc.lineno + 1 if doc else 0
                yield node.end_lineno - node.lineno + 1 - words, f"{source.path}: {node.name}"


def test_no_module_is_longer_than_450_lines(sources):
    long = [(count, s.path) for s in sources if (count := s.text.count("\n")) > 450]
    assert long == []


def test_no_function_is_longer_than_60_lines(sources):
    assert [span for span in spans(sources, FUNCTIONS) if span[0] > 60] == []


def test_no_class_is_longer_than_250_lines(sources):
    assert [span for span in spans(sources, ast.ClassDef) if span[0] > 250] == []


def test_most_functions_are_short(sources):
    assert median(length for length, _ in spans(sources, FUNCTIONS)) <= 8


def test_every_public_name_has_a_docstring(sources):
    bare = []
    for source in sources:
        if not ast.get_docstring(source.tree):
            bare.append(source.path)
        for node in source.tree.body:
            if isinstance(node, (*FUNCTIONS, ast.ClassDef)) and not node.name.startswith("_"):
                hook = any(getattr(d, "id", "") == "hookimpl" for d in node.decorator_list)
                script = "migrations/" in source.path
                if not ast.get_docstring(node) and not hook and not script:
                    bare.append(f"{source.path}: {node.name}")
    assert bare == []
