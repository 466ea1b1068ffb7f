"""A document as one self-contained HTML page, readable on paper, on a phone and without scripts.

The page asks for nothing outside itself: its content-security policy allows the one style sheet in
it, by its hash. Every text is made visible and escaped.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tomogram.disclosure.document import Document, Listing, Pairs, Table
from tomogram.report.tokens import visible


def html(document: Document) -> str:
    """The page."""
    style = _style()
    template = _environment().get_template("document.html.j2")
    return template.render(document=document, style=Markup(style), policy=_policy(style))


def kind(part: object) -> str:
    """What the template draws a part as."""
    match part:
        case str():
            return "paragraph"
        case Table():
            return "table" if part.rows else "empty"
        case Pairs():
            return "pairs"
        case Listing():
            return "listing"
        case _:
            raise TypeError(f"{type(part).__name__} is no part of a document")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tomogram.disclosure", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: visible(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(kind=kind)
    return environment


@cache
def _style() -> str:
    return files("tomogram.disclosure").joinpath("template", "style.css").read_text("utf-8")


def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
