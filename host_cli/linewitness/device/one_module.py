"""The modules that a witness always has in memory become one before they are frozen into an image.

A module takes memory of its own: an object, a dict with an entry for each of its names and for each that it imports,
and entries in sys.modules and in its package. One module for all that `witness.app` imports at its top level, and for
the probes that stay (ALWAYS), saves a tenth of what the firmware takes. It stands in the place of `witness/app.py`: the
modules one after the other, those first that others are made of. A name that one of them binds at its top level begins
with the module's name (`cose__digest`), so that no two are the same and no local variable hides one; classes of which
there is one of that name keep it, for tracebacks. All other modules import from there what they took from one of these.

A text or a tuple of constants that no other module takes is put in where it is named, as numbers are (constants.py): a
constant of the code lies in the image.

What is imported before witness.app stays apart (main.py's modules, so that a fault in all the others ends in its
restart), and so does what is imported inside functions: that is in memory only while it works.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeGuard

MAIN = "witness.app"
ALWAYS = ("witness.probes.icmp", "witness.probes.tcp")  # without code on demand, and in nearly every plan

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

Edit = tuple[int, int, int, int, str]  # line and column (octets) where it begins and ends, the new text


@dataclass(slots=True)
class _Module:
    name: str
    path: str
    text: str
    tree: ast.Module
    defined: set[str]  # at the top level, imports aside
    imports: list[ast.Import | ast.ImportFrom] = field(default_factory=list)


def join(sources: Mapping[str, str], scripts: Mapping[str, str]) -> dict[str, str]:
    """Return path -> source of fewer modules. scripts: what is executed on a board beside them."""
    modules = {module.name: module for module in (_read(path, text) for path, text in sources.items())}
    apart = {name for text in scripts.values() for name in _imported(ast.parse(text), modules, "", nested=True)}
    inside = _in_order([*(name for name in ALWAYS if name in modules), MAIN], modules, apart - {MAIN})
    names = _names([modules[name] for name in inside])
    for node in (node for text in scripts.values() for node in ast.walk(ast.parse(text))):
        if isinstance(node, ast.ImportFrom) and node.module == MAIN:
            assert all(names[MAIN, alias.name] == alias.name for alias in node.names), "a script imports no class"
    packages = {module.name: module.name + "." for module in modules.values() if module.path.endswith("__init__.py")}
    emptied = {name for name, prefix in packages.items() if all(
        other in inside for other in modules if other.startswith(prefix))}  # fmt: skip
    joined = {}
    body, shared = [], dict[str, None]()
    texts = {origin: text for origin, text in _literals([modules[name] for name in inside]) if not any(
        origin in _taken(module, modules) for module in modules.values() if module.name not in inside)}  # fmt: skip
    for name in inside:
        body.append(_rewritten(modules[name], modules, names | texts, shared, texts))
    for module in modules.values():
        if module.name == MAIN:
            joined[module.path] = "\n".join([*shared, *body])
        elif module.name not in inside and module.name not in emptied:
            joined[module.path] = _rewritten(module, modules, names, None)
    return joined


def _read(path: str, text: str) -> _Module:
    tree = ast.parse(text)
    name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    module = _Module(name, path, text, tree, set())
    for statement in tree.body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            module.imports.append(statement)
        else:
            module.defined |= _bound([statement])
    return module


def _origin(module: _Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    package = parts[: len(parts) - node.level + module.path.endswith("/__init__.py")]
    return ".".join([*package, *([node.module] if node.module else [])])


def _imported(tree: ast.Module, modules: Mapping[str, _Module], name: str, *, nested: bool = False) -> list[str]:
    """The firmware's modules that a module imports, at its top level or (nested) anywhere, in order."""
    found = []
    module = modules.get(name) or _Module(name, "", "", tree, set())
    for node in ast.walk(tree) if nested else tree.body:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name in modules]
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(module, node)
            whole = [f"{origin}.{alias.name}" for alias in node.names]
            found += [name for name in whole if name in modules]
            if origin in modules and any(name not in modules for name in whole):
                found.append(origin)
    return found


def _in_order(wanted: list[str], modules: Mapping[str, _Module], apart: set[str]) -> list[str]:
    """The modules that are joined, those first that others are made of."""
    order: list[str] = []

    def visit(name: str) -> None:
        if name not in order and name not in apart:
            for other in _imported(modules[name].tree, modules, name):
                visit(other)
            order.append(name)

    for name in wanted:
        visit(name)
    return order


def _names(inside: list[_Module]) -> dict[tuple[str, str], str]:
    """(module, name there) -> name in the one module."""
    classes = Counter(
        node.name for module in inside for node in module.tree.body if isinstance(node, ast.ClassDef)
    )  # fmt: skip
    kept = {name for name, count in classes.items() if count == 1}
    names = {}
    for module in inside:
        prefix = module.name.rpartition(".")[2]
        own = {node.name for node in module.tree.body if isinstance(node, ast.ClassDef)} & kept
        for name in module.defined:
            names[module.name, name] = name if name in own else f"{prefix}__{name}"
    new = Counter(names.values())
    local = {name for module in inside for name in _every_local(module.tree)}
    for name, count in new.items():
        assert count == 1, f"two of the firmware's modules would bind {name}"
        assert name not in local, f"a local variable would hide {name}"
    return names


def _literals(inside: list[_Module]) -> Iterator[tuple[tuple[str, str], str]]:
    """(module, name), text of each constant that a module binds once, numbers aside."""
    for module in inside:
        stores = Counter(node.id for node in ast.walk(module.tree) if _stores(node))
        for node in module.tree.body:
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
                value = _zeros(node.value)
                for name in _bound([node]):
                    if name.isupper() and stores[name] == 1 and _is_literal(value):
                        yield (module.name, name), ast.unparse(value)


def _zeros(node: ast.expr) -> ast.expr:
    """`bytes(32)` as the constant that it makes, anything else as it is."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "bytes":
        size = node.args[0] if len(node.args) == 1 else None
        if isinstance(size, ast.Constant) and isinstance(size.value, int):
            return ast.Constant(bytes(size.value))
    return node


def _stores(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)


def _is_literal(node: ast.expr) -> bool:
    if isinstance(node, ast.Tuple):
        return all(_is_literal(item) for item in node.elts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    return isinstance(node, ast.Constant)


def _taken(module: _Module, modules: Mapping[str, _Module]) -> set[tuple[str, str]]:
    """(module, name) of all that a module may take from others: names that it imports, attributes of modules."""
    taken = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom):
            origin = _origin(module, node)
            for alias in node.names:
                if origin in modules and f"{origin}.{alias.name}" not in modules:
                    taken.add(_source(origin, alias.name, modules))
                elif f"{origin}.{alias.name}" in modules:
                    attributes = {each.attr for each in ast.walk(module.tree) if isinstance(each, ast.Attribute)}
                    taken |= {(f"{origin}.{alias.name}", attribute) for attribute in attributes}
    return taken


def _bound(body: Sequence[ast.AST]) -> set[str]:
    """The names that statements bind in their own scope, functions' arguments aside."""
    names: set[str] = set()
    pending: list[ast.AST] = list(body)
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
            pending += node.decorator_list
            continue
        if isinstance(node, (ast.Lambda, *_COMPREHENSIONS)):
            continue
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        pending += list(ast.iter_child_nodes(node))
    return names


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> set[str]:
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return {argument.arg for argument in every if argument is not None}


def _every_local(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names |= _arguments(node) | _bound(node.body)
        elif isinstance(node, ast.Lambda):
            names |= _arguments(node)
    return names


def _globals(node: ast.AST, local: frozenset[str]) -> Iterator[ast.Name | ast.FunctionDef | ast.ClassDef]:
    """Every name that stands for one of the module's top level, and the definitions of such; annotations aside."""
    if isinstance(node, ast.Name):
        if node.id not in local:
            yield node
        return
    inner = local
    outside: list[ast.AST] = []
    children: list[ast.AST] = []
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        outside = [*node.decorator_list, *node.args.defaults, *(each for each in node.args.kw_defaults if each)]
        children = list(node.body)
        inner = local | _arguments(node) | _bound(node.body)
    elif isinstance(node, ast.Lambda):
        outside = [*node.args.defaults]
        children = [node.body]
        inner = local | _arguments(node)
    elif isinstance(node, ast.ClassDef):
        yield from _globals_of_class(node, local)
        return
    elif isinstance(node, _COMPREHENSIONS):
        children = list(ast.iter_child_nodes(node))
        inner = local | _bound([generator.target for generator in node.generators])
    elif isinstance(node, ast.AnnAssign):
        children = [node.target, *([node.value] if node.value is not None else [])]
    else:
        children = list(ast.iter_child_nodes(node))
    for child in outside:
        yield from _globals(child, local)
    for child in children:
        yield from _globals(child, inner)


def _globals_of_class(node: ast.ClassDef, local: frozenset[str]) -> Iterator[ast.Name | ast.FunctionDef | ast.ClassDef]:
    """A class's own names are seen by its body, not by its methods."""
    own = local | _bound(node.body)
    for base in [*node.bases, *node.decorator_list]:
        yield from _globals(base, local)
    for statement in node.body:
        method = isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef))
        yield from _globals(statement, local if method else own)


def _rewritten(
    module: _Module, modules: Mapping[str, _Module], names: Mapping[tuple[str, str], str],
    shared: dict[str, None] | None, gone: Collection[tuple[str, str]] = (),
) -> str:  # fmt: skip
    """A module's text with the names it has now; shared: takes the imports from elsewhere of one that is joined; gone:
    what is bound no more."""
    assert not any(isinstance(node, ast.JoinedStr) for node in ast.walk(module.tree)), "names in an f-string"
    inside = {name for name, _ in names}
    joins = shared is not None
    lines = [line.encode() for line in module.text.splitlines()]  # ast counts octets
    edits: list[Edit] = []
    known: dict[str, str] = {}  # name here -> name in the one module
    parts: dict[str, str] = {}  # name here -> module that is joined
    for node in ast.walk(module.tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            top = joins and node in module.imports
            kept = _kept_import(node, module, modules, names, inside, known, parts, top=top)
            if top and shared is not None:
                shared |= dict.fromkeys(kept)
            text = "" if top else "; ".join(kept) or "pass"
            edits.append((node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0, text))
    if joins:
        known |= {name: names[module.name, name] for name in module.defined}
    inner = {id(node.value): node for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)}
    for place in _globals(module.tree, frozenset()):
        assert isinstance(place, ast.Name)
        attribute = inner.get(id(place))
        if place.id in parts and attribute is not None:
            new = names.get((parts[place.id], attribute.attr), attribute.attr)
            text = new if joins else f"{place.id}.{new}"
            edits.append((attribute.lineno, attribute.col_offset, place.lineno, attribute.end_col_offset or 0, text))
        elif joins and place.id in known:
            edits.append((place.lineno, place.col_offset, place.lineno, place.end_col_offset or 0, known[place.id]))
    if joins:
        edits += _renamed_definitions(module, known, lines)
        for node in module.tree.body:
            if any((module.name, name) in gone for name in _bound([node])):
                edits = [edit for edit in edits if not node.lineno <= edit[0] <= (node.end_lineno or 0)]
                edits.append((node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0, ""))
    return _edited(lines, edits)


def _renamed_definitions(module: _Module, known: Mapping[str, str], lines: list[bytes]) -> Iterator[Edit]:
    for node in module.tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            column = lines[node.lineno - 1].index(node.name.encode(), node.col_offset)
            yield node.lineno, column, node.lineno, column + len(node.name.encode()), known[node.name]


def _kept_import(
    node: ast.Import | ast.ImportFrom, module: _Module, modules: Mapping[str, _Module],
    names: Mapping[tuple[str, str], str], inside: set[str], known: dict[str, str], parts: dict[str, str], *, top: bool,
) -> list[str]:  # fmt: skip
    """The imports that stand in an import's place; known and parts learn what it binds."""
    package, _, main = MAIN.rpartition(".")
    kept: dict[str, list[str]] = {}
    for alias in node.names:
        here = alias.asname or alias.name
        renamed = f"{alias.name} as {alias.asname}" if alias.asname else alias.name
        if isinstance(node, ast.Import):
            assert alias.name not in inside, f"{module.name}: import {alias.name} has no place in one module"
            kept.setdefault("", []).append(renamed)
            continue
        origin = _origin(module, node)
        if f"{origin}.{alias.name}" in inside:
            assert node in module.imports, f"{module.name}: a function imports {alias.name} whole"
            parts[here] = f"{origin}.{alias.name}"
            if not top:
                kept.setdefault(package, []).append(f"{main} as {here}")
        elif origin in inside:
            known[here] = new = names[_source(origin, alias.name, modules)]
            if not top:
                kept.setdefault(MAIN, []).append(new if here == new else f"{new} as {here}")
        else:
            kept.setdefault(origin, []).append(renamed)
    return [f"{f'from {origin} ' if origin else ''}import {', '.join(names)}" for origin, names in kept.items()]


def _source(origin: str, name: str, modules: Mapping[str, _Module]) -> tuple[str, str]:
    """Where a name comes from that a module has from another."""
    while name not in modules[origin].defined:
        for node in modules[origin].imports:
            found = [alias.name for alias in node.names if (alias.asname or alias.name) == name]
            if found and isinstance(node, ast.ImportFrom):
                origin, name = _origin(modules[origin], node), found[0]
                break
        else:
            raise AssertionError(f"{origin} binds no {name}")
    return origin, name


def _edited(lines: list[bytes], edits: list[Edit]) -> str:
    for first, begin, last, end, text in sorted(edits, reverse=True):
        line = lines[first - 1][:begin] + text.encode() + lines[last - 1][end:]
        lines[first - 1 : last] = [line, *[b""] * (last - first)]
    return b"\n".join(lines).decode() + "\n"
