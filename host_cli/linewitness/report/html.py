"""HTML and SVG as values: what is not Markup is escaped, so no text of a plan, a status page or a name becomes code.

    el("p", "3 < 4 ", el("b", name), cls="lead")  ->  Markup('<p class="lead">3 &lt; 4 <b>...</b></p>')

Attribute names: `cls` is class, a trailing underscore is dropped, other underscores become hyphens; None leaves an
attribute out. Control characters and those that turn the direction of text are shown as <U+202E>, never obeyed: a name
may not rearrange the sentence that it stands in.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

VOID = {"meta", "br", "hr"}  # HTML elements without content
EMPTY_SVG = {"rect", "line", "path", "circle", "stop", "use"}


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | int | Iterable["Child"] | None


def escape(text: object) -> str:
    """Return text for HTML content or a double-quoted attribute."""
    shown = "".join(c if c.isprintable() or c == "\n" else _shown(c) for c in str(text))
    return (
        shown.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace('"', "&quot;")
        .replace("'", "&#39;")
    )


def _shown(character: str) -> str:
    return character if unicodedata.category(character) == "Zs" or character == "\t" else f"<U+{ord(character):04X}>"


def el(tag: str, *children: Child, **attributes: object) -> Markup:
    """Return one element with its children; a child that is not Markup is escaped."""
    parts = [f"<{tag}"]
    for name, value in attributes.items():
        if value is not None:
            written = "class" if name == "cls" else name.rstrip("_").replace("_", "-")
            parts.append(f' {written}="{escape(value)}"')
    if tag in EMPTY_SVG and not children:
        return Markup("".join(parts) + "/>")
    content = join(*children)
    return Markup("".join(parts) + ">" + content + ("" if tag in VOID else f"</{tag}>"))


def join(*children: Child) -> Markup:
    """Return children one after the other, escaped where they are not Markup."""
    parts: list[str] = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Markup):
            parts.append(child)
        elif isinstance(child, (str, int)):
            parts.append(escape(child))
        else:
            parts.append(join(*child))
    return Markup("".join(parts))


def number(value: float) -> str:
    """Return a coordinate: three decimals at most, none that say nothing."""
    return f"{value:.3f}".rstrip("0").rstrip(".") if value % 1 else str(int(value))


def table(headings: Iterable[Child], rows: Iterable[Iterable[Child]], caption: str, cls: str = "") -> Markup:
    """Return a table in a region of its own that scrolls sideways, reachable by keyboard; caption names it."""
    head = el("thead", el("tr", *[el("th", h, scope="col") for h in headings]))
    body = [
        el("tr", *[el("th" if i == 0 else "td", c, scope="row" if i == 0 else None) for i, c in enumerate(row)])
        for row in rows
    ]
    made = el("table", el("caption", caption), head, el("tbody", *body), cls=cls or None)
    return el("div", made, cls="scroll", tabindex="0", role="region", aria_label=caption)
