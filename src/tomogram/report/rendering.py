"""From templates to pages that ask for nothing outside themselves.

A page's content-security policy allows exactly the style sheet and the script that are in it, by
their hashes.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined

from tomogram.report import words
from tomogram.report.cards import highlighted
from tomogram.report.tokens import named, visible


def content_security_policy(style: str, script: str = "") -> str:
    """Nothing may be fetched, framed or sent; only these inline texts may act."""
    act = f"script-src '{_hash(script)}'; " if script else ""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; {act}base-uri 'none'; form-action 'none'"
    )


@cache
def environment() -> Environment:
    """The templates, with the words that they use. Every value is escaped."""
    made = Environment(
        loader=PackageLoader("tomogram.report", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        whole=words.whole,
        short=words.short,
        percent=words.percent,
        decimal=words.decimal,
        span=words.span,
        named=named,
    )
    made.globals.update(highlighted=highlighted, plural=words.plural)
    return made


@cache
def asset(name: str) -> str:
    """The text of a file beside the templates."""
    return files("tomogram.report").joinpath("template", name).read_text(encoding="utf-8")


def _finalized(value: object) -> object:
    """Whatever a template prints, names of models and files included, is made visible first."""
    return visible(value) if type(value) is str else value


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
