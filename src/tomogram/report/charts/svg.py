"""SVG elements as strings, with every value made visible and escaped."""

from __future__ import annotations

from markupsafe import Markup, escape

from tomogram.report.tokens import visible


def element(tag: str, *children: str, **attributes: object) -> Markup:
    """One element. Children that are not Markup are escaped; ``class_`` stands for ``class``.

    Underscores in attribute names become hyphens, numbers keep two decimals, None leaves out.
    """
    words = [tag]
    for name, value in attributes.items():
        if value is not None:
            words.append(f'{name.rstrip("_").replace("_", "-")}="{_safe(_plain(value))}"')
    inner = "".join(_safe(child) for child in children)
    return Markup(f"<{' '.join(words)}>{inner}</{tag}>")


def _safe(text: str) -> Markup:
    return text if isinstance(text, Markup) else escape(visible(text))


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{round(value, 2):g}"
    return str(value)


def drawing(width: float, height: float, *children: str, label: str, class_: str = "") -> Markup:
    """The outer ``svg``: scales to its column, and reads its label to a screen reader."""
    return element(
        "svg",
        *children,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label=label,
        class_=f"drawing {class_}".strip(),
    )


def words(x: float, y: float, text: str, class_: str = "", anchor: str | None = None) -> Markup:
    """A line of text; ``anchor`` is ``middle`` or ``end``."""
    return element("text", text, x=x, y=y, class_=class_ or None, text_anchor=anchor)


def rect(x: float, y: float, width: float, height: float, class_: str, hover: str = "") -> Markup:
    """A rectangle, with a hover text when one is given."""
    inside = (element("title", hover),) if hover else ()
    return element("rect", *inside, x=x, y=y, width=width, height=height, class_=class_)


def circle(x: float, y: float, r: float, class_: str, hover: str = "") -> Markup:
    """A dot, with a hover text when one is given."""
    inside = (element("title", hover),) if hover else ()
    return element("circle", *inside, cx=x, cy=y, r=r, class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(points: list[tuple[float, float]], class_: str, *, closed: bool = False) -> Markup:
    """A polyline through the points."""
    steps = " ".join(
        f"{'M' if i == 0 else 'L'}{_plain(float(x))} {_plain(float(y))}"
        for i, (x, y) in enumerate(points)
    )
    return element("path", d=steps + ("Z" if closed else ""), class_=class_)
