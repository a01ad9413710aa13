"""Exceptions that no code of a board tells apart become one class before they are compiled.

`linewitness_wire.errors` has a class for each thing that a reader could do differently. The host does; on the board a
refusal is a line on the console, and each of those classes is a type, a dict and a table in its memory. So a class that
adds nothing to its base, and that the board's code names only to raise it, is raised there as its base. Lines stay
where they are.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Mapping


def merge(sources: Mapping[str, str], scripts: Mapping[str, str]) -> dict[str, str]:
    """Return path -> source. scripts: all that is executed on a board beside these modules."""
    trees = {path: ast.parse(text) for path, text in sources.items()}
    bare = _bare_classes(trees.values())
    told = {name for tree in [*trees.values(), *map(ast.parse, scripts.values())] for name in _told_apart(tree, bare)}
    merged = {}
    for name in bare.keys() - told:
        base = bare[name]
        while base in bare and base not in told:
            base = bare[base]
        merged[name] = base
    return {path: _rewrite(text, trees[path], merged) for path, text in sources.items()}


def _bare_classes(trees: Iterable[ast.Module]) -> dict[str, str]:
    """Name -> base of the classes that hold nothing, whose base is ours; of names that only one class has."""
    classes = [node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)]
    count = Counter(node.name for node in classes)
    return {
        node.name: node.bases[0].id
        for node in classes
        if len(node.bases) == 1 and isinstance(node.bases[0], ast.Name) and count[node.bases[0].id] == 1
        and count[node.name] == 1 and all(_says_nothing(statement) for statement in node.body)
    }  # fmt: skip


def _says_nothing(statement: ast.stmt) -> bool:
    docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return docstring or isinstance(statement, ast.Pass)


def _told_apart(tree: ast.Module, bare: Mapping[str, str]) -> set[str]:
    """The classes that a module names otherwise than to raise them or to make another bare class of them."""
    raised = [
        node.exc.func for node in ast.walk(tree) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
    ]
    bases = [node.bases[0] for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name in bare]
    harmless = {id(node) for node in [*raised, *bases]}
    told = set()
    for node in ast.walk(tree):
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        if name in bare and id(node) not in harmless:
            told.add(name)
    return told


def _rewrite(text: str, tree: ast.Module, merged: Mapping[str, str]) -> str:
    lines = [line.encode() for line in text.splitlines()]  # ast counts octets
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
            name = node.exc.func
            if name.id in merged:
                line = lines[name.lineno - 1]
                end = name.col_offset + len(name.id)
                lines[name.lineno - 1] = line[: name.col_offset] + merged[name.id].encode() + line[end:]
        elif isinstance(node, ast.ImportFrom) and any(alias.name in merged for alias in node.names):
            named = dict.fromkeys(
                f"{alias.name} as {alias.asname}" if alias.asname else merged.get(alias.name, alias.name)
                for alias in node.names
            )
            last = node.end_lineno or node.lineno
            statement = f"from {'.' * node.level}{node.module or ''} import {', '.join(named)}"
            lines[node.lineno - 1 : last] = [b" " * node.col_offset + statement.encode(), *[b""] * (last - node.lineno)]
    return b"\n".join(lines).decode() + "\n"
