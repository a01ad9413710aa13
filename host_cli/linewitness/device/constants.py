"""Named numbers of the firmware's sources, put in as numbers before they are compiled; what no board uses, left out.

`codes.METHOD_DNS` is good to read and dear to keep: on the board each such name is an entry in its module's dict, an
interned string and a look-up. Every integer that a module of the firmware binds once, at its top level, to a name in
capitals is put in wherever the firmware's modules load that name; definitions and imports that nothing needs any more
are taken out. So are functions, classes and tables that only the host uses of what it shares with the board. Lines stay
where they are, so that a traceback from a board still names the line of the source.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_NAME = re.compile(r"_?[A-Z][A-Z0-9_]*")
_OPERATIONS = {
    ast.Add: int.__add__, ast.Sub: int.__sub__, ast.Mult: int.__mul__, ast.FloorDiv: int.__floordiv__,
    ast.LShift: int.__lshift__, ast.RShift: int.__rshift__, ast.BitOr: int.__or__, ast.BitAnd: int.__and__,
}  # fmt: skip


@dataclass(slots=True)
class _Module:
    name: str
    text: str
    tree: ast.Module
    numbers: dict[str, int] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)  # name here -> module of the firmware
    names: dict[str, tuple[str, str]] = field(default_factory=dict)  # name here -> module, its name there
    left_out: list[ast.stmt] = field(default_factory=list)


def put_in(sources: Mapping[str, str], scripts: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return path -> source with the numbers put in; paths like witness/probes/dns.py.

    scripts: all that is executed on a board beside these modules. With them, what neither uses is left out.
    """
    modules = {}
    for path, text in [*sources.items(), *(scripts or {}).items()]:
        name = path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        modules[name] = _Module(name, text, ast.parse(text))
    for module in modules.values():
        _read_imports(module, modules, is_package=f"{module.name.replace('.', '/')}/__init__.py" in sources)
    while sum(_read_numbers(module, modules) for module in modules.values()):
        pass  # a number may be made of another module's
    ours = list(modules.values())[: len(sources)]
    kept = _kept(modules)
    while scripts and sum(_leave_out(module, kept) for module in ours):
        kept = _kept(modules)
    return {path: _rewrite(module, modules, kept) for path, module in zip(sources, ours, strict=True)}


def _leave_out(module: _Module, kept: set[tuple[str, str]]) -> bool:
    """Take the definitions that nobody loads out of a module's tree; return whether there was one."""
    unused = [statement for statement in module.tree.body
              if (name := _defined(statement)) is not None and (module.name, name) not in kept]  # fmt: skip
    module.left_out += unused
    module.tree.body = [statement for statement in module.tree.body if statement not in unused]
    return bool(unused)


def _defined(statement: ast.stmt) -> str | None:
    """The name that a function, a class or a table in capitals is bound to; a number is none."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return statement.name
    if isinstance(statement, ast.Assign) and isinstance(statement.value, (ast.Tuple, ast.List, ast.Dict)):
        target = statement.targets[0]
        return target.id if isinstance(target, ast.Name) and _NAME.fullmatch(target.id) else None
    return None


def _read_imports(module: _Module, modules: Mapping[str, _Module], *, is_package: bool) -> None:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom):
            origin = _origin(module.name, node, is_package=is_package)
            for alias in node.names:
                here, whole = alias.asname or alias.name, f"{origin}.{alias.name}"
                if whole in modules:
                    module.modules[here] = whole
                elif origin in modules:
                    module.names[here] = (origin, alias.name)


def _origin(name: str, node: ast.ImportFrom, *, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = name.split(".")
    package = parts[: len(parts) - node.level + is_package]
    return ".".join([*package, *([node.module] if node.module else [])])


def _read_numbers(module: _Module, modules: Mapping[str, _Module]) -> bool:
    """Find the module's numbers as far as those they are made of are known; return whether there was a new one."""
    before = len(module.numbers)
    stores = [node.id for node in ast.walk(module.tree) if isinstance(node, ast.Name) and _is_store(node)]
    for names, values in _definitions(module.tree):
        for name, value in zip(names, values, strict=True):
            if _NAME.fullmatch(name) and stores.count(name) == 1:
                number = _evaluate(value, module, modules)
                if number is not None:
                    module.numbers[name] = number
    return len(module.numbers) > before


def _is_store(node: ast.Name) -> bool:
    return not isinstance(node.ctx, ast.Load)


def _definitions(tree: ast.Module) -> Iterator[tuple[list[str], list[ast.expr]]]:
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            found = _bound(statement)
            if found is not None:
                yield found


def _bound(statement: ast.Assign) -> tuple[list[str], list[ast.expr]] | None:
    """Names and values of `A = x` or `A, B = x, y`; None for any other assignment."""
    target, value = statement.targets[0], statement.value
    if isinstance(target, ast.Name):
        return [target.id], [value]
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        names = [item.id for item in target.elts if isinstance(item, ast.Name)]
        return (names, value.elts) if len(names) == len(target.elts) else None
    return None


def _evaluate(node: ast.expr, module: _Module, modules: Mapping[str, _Module]) -> int | None:
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) is int else None
    if isinstance(node, (ast.Name, ast.Attribute)):
        return _number(node, module, modules)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _evaluate(node.operand, module, modules)
        return None if number is None else -number
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        left, right = _evaluate(node.left, module, modules), _evaluate(node.right, module, modules)
        return None if left is None or right is None else _OPERATIONS[type(node.op)](left, right)
    return None


def _number(node: ast.expr, module: _Module, modules: Mapping[str, _Module]) -> int | None:
    """The number that a name or an attribute loads, if it is one of the firmware's."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        if node.id in module.names:
            origin, name = module.names[node.id]
            return modules[origin].numbers.get(name)
        return module.numbers.get(node.id)
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and isinstance(node.value, ast.Name):
        origin = module.modules.get(node.value.id, "")
        return modules[origin].numbers.get(node.attr) if origin else None
    return None


def _loads(module: _Module, modules: Mapping[str, _Module]) -> Iterator[tuple[ast.expr, int | None]]:
    """Each name and attribute that is evaluated on the board, with its number; annotations and f-strings' parts aside.

    What an f-string holds has no place in the text that could be rewritten, so it comes without its number.
    """
    pending: list[tuple[ast.AST, bool]] = [(module.tree, True)]
    while pending:
        node, plain = pending.pop()
        plain = plain and not isinstance(node, ast.JoinedStr)
        if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
            number = _number(node, module, modules) if plain else None
            yield node, number
            if number is not None:
                continue
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns"):
                continue
            pending += [(child, plain) for child in (value if isinstance(value, list) else [value])
                        if isinstance(child, ast.AST)]  # fmt: skip


def _kept(modules: Mapping[str, _Module]) -> set[tuple[str, str]]:
    """(module, name) of all that is still loaded by name from somewhere."""
    kept = set()
    for module in modules.values():
        for node, number in _loads(module, modules):
            if number is None and isinstance(node, ast.Name):
                kept.add((module.name, node.id))
                kept.add(module.names.get(node.id, (module.name, node.id)))
            elif number is None and isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                kept.add((module.modules.get(node.value.id, module.name), node.attr))
    passed_on = [((module.name, here), origin) for module in modules.values() for here, origin in module.names.items()]
    while more := {origin for here, origin in passed_on if here in kept} - kept:
        kept |= more
    return kept


def _rewrite(module: _Module, modules: Mapping[str, _Module], kept: set[tuple[str, str]]) -> str:
    lines = [line.encode() for line in module.text.splitlines()]  # ast counts octets
    edits = [(node, str(number) if number >= 0 else f"({number})")
             for node, number in _loads(module, modules) if number is not None]  # fmt: skip
    gone = []
    for statement in module.tree.body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            found = _bound(statement)
            if found and all(name in module.numbers and (module.name, name) not in kept for name in found[0]):
                gone.append(statement)
    dropped = [(_first_line(node), node.end_lineno or node.lineno) for node in [*gone, *module.left_out]]
    for node, text in sorted(edits, key=lambda edit: (edit[0].lineno, edit[0].col_offset), reverse=True):
        assert node.end_lineno == node.lineno, "a number's name on two lines"
        line = lines[node.lineno - 1]
        lines[node.lineno - 1] = line[: node.col_offset] + text.encode() + line[node.end_col_offset or len(line) :]
    for found_import in ast.walk(module.tree):
        if isinstance(found_import, ast.ImportFrom):
            _drop_imports(found_import, module, modules, kept, lines)
    for first, last in dropped:
        lines[first - 1 : last] = [b""] * (last - first + 1)
    return b"\n".join(lines).decode() + "\n"


def _first_line(node: ast.stmt) -> int:
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _drop_imports(
    node: ast.ImportFrom, module: _Module, modules: Mapping[str, _Module], kept: set[tuple[str, str]],
    lines: list[bytes],
) -> None:  # fmt: skip
    """Take out of an import what the module no longer loads and nobody takes from it."""
    left = []
    for alias in node.names:
        here = alias.asname or alias.name
        ours = here in module.modules or here in module.names
        if not ours or (module.name, here) in kept:
            left.append(f"{alias.name} as {alias.asname}" if alias.asname else alias.name)
    if len(left) == len(node.names):
        return
    last = node.end_lineno or node.lineno
    origin = "." * node.level + (node.module or "")
    text = f"from {origin} import {', '.join(left)}" if left else "pass"
    lines[node.lineno - 1 : last] = [b" " * node.col_offset + text.encode(), *[b""] * (last - node.lineno)]
