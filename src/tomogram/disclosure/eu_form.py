"""The EU's Model Documentation Form, as far as a scan and a statement can fill it.

Each item carries its audience. What the scan measured and what the developer declared stand side
by side and are never merged; an item with neither says "not stated".
"""

from __future__ import annotations

from collections.abc import Callable

from tomogram.disclosure.contents import use_of_interpretability
from tomogram.disclosure.document import Document, Section, Table
from tomogram.disclosure.facts import Facts
from tomogram.disclosure.form import AUDIENCES, ITEMS, Audience, Item
from tomogram.disclosure.use import ABSENT, NOT_STATED, use_block
from tomogram.report import words
from tomogram.store.canonical import readable_json
from tomogram.store.schema import Digest, Record

_RANGES = (
    (500e6, "1 to 500 million"),
    (5e9, "500 million to 5 billion"),
    (15e9, "5 to 15 billion"),
    (50e9, "15 to 50 billion"),
    (100e9, "50 to 100 billion"),
    (500e9, "100 to 500 billion"),
    (1e12, "500 billion to 1 trillion"),
)
_MORE = "more than 1 trillion"


class Filled(Record):
    """One item of the form as filled in. measured and declared are empty where there is nothing.

    in_part: what was measured answers a part of the item, and nothing else was declared.
    """

    key: str
    section: str
    item: str
    audiences: tuple[Audience, ...]
    measured: str
    declared: str
    in_part: bool

    @property
    def stated(self) -> bool:
        """Whether there is anything to say."""
        return bool(self.measured or self.declared)


class Form(Record):
    """The form as filled in, for machines."""

    form: str = "Model Documentation Form, GPAI Code of Practice (10 July 2025)"
    made: str
    model: str
    model_sha256: Digest
    items: tuple[Filled, ...]
    in_part: tuple[str, ...]
    not_stated: tuple[str, ...]


def filled(facts: Facts) -> Form:
    """The form with everything that is known."""
    items = tuple(_filled(facts, item) for item in ITEMS)
    return Form(
        made=facts.made,
        model=facts.model.name,
        model_sha256=facts.model.digest,
        items=items,
        in_part=tuple(each.key for each in items if each.in_part),
        not_stated=tuple(each.key for each in items if not each.stated),
    )


def eu_form_json(facts: Facts) -> str:
    """The form as JSON, followed by the block on interpretability, which is no part of it."""
    body = filled(facts).model_dump(mode="json")
    return readable_json({**body, "annex_how_interpretability_was_used": use_block(facts)})


def eu_form(facts: Facts) -> Document:
    """The form as a document."""
    form = filled(facts)
    sections = tuple(dict.fromkeys(item.section for item in ITEMS))
    stated, partly = len(form.items) - len(form.not_stated), len(form.in_part)
    return Document(
        title=f"Model Documentation Form: {facts.model.name}",
        subtitle=(
            "Transparency chapter of the EU General-Purpose AI Code of Practice, Measure 1.1."
            f" Filled in on {facts.made} with Tomogram {facts.tomogram}: {stated} of"
            f" {len(form.items)} items are stated, {partly} of them in part."
        ),
        sections=(
            Section(
                "How to read this form",
                (
                    f"Each item names its readers: {', '.join(AUDIENCES)}. Items for authorities"
                    " are given to them on request. What the scan measured and what the developer"
                    " declared are in columns of their own. A scan can tell how a model is built"
                    " and not how it was trained, so most items are the developer's to state. Where"
                    " it answers a part of an item alone, the item is marked: what the provider"
                    " has to say of it is still missing.",
                ),
            ),
            *(_section(form, name) for name in sections),
            _annex(facts),
        ),
    )


def _annex(facts: Facts) -> Section:
    block = use_of_interpretability(facts)
    said = "This block is no part of the form."
    return Section(f"Annex: {block.title[0].lower()}{block.title[1:]}", (said, *block.parts))


def _section(form: Form, name: str) -> Section:
    rows = tuple(
        (
            f"{each.item} (in part)" if each.in_part else each.item,
            ", ".join(each.audiences) if each.audiences != AUDIENCES else "all",
            each.measured or ABSENT,
            each.declared or (ABSENT if each.measured and not each.in_part else NOT_STATED),
        )
        for each in form.items
        if each.section == name
    )
    columns = ("Item", "For", "Measured by the scan", "Declared by the developer")
    return Section(name, (Table(columns, rows, shares=(22, 18, 30, 30)),))


def _filled(facts: Facts, item: Item) -> Filled:
    measure, declared = _MEASURED.get(item.key), _declared(facts, item.key)
    return Filled(
        key=item.key,
        section=item.section,
        item=item.name,
        audiences=item.audiences,
        measured=measure(facts) if measure else "",
        declared=declared,
        in_part=item.key in _IN_PART and not declared,
    )


def _declared(facts: Facts, key: str) -> str:
    own = facts.statement
    fallback = {"licence": own.licence, "dependencies": ", ".join(own.base_models)}
    return own.declared(key) or fallback.get(key, "")


def _authenticity(facts: Facts) -> str:
    return (
        "SHA-256 over the weights and the configuration, as Tomogram takes it:"
        f" {facts.model.digest}"
    )


def _architecture(facts: Facts) -> str:
    return f"Decoder-only transformer of the family {facts.model.family}"


def _design(facts: Facts) -> str:
    model = facts.model
    mlp = "mixtures of experts" if model.d_mlp is None else f"MLPs of width {model.d_mlp}"
    tied = "shared with the embedding" if model.tied else "of its own"
    return (
        f"{model.n_layers} layers of width {model.d_model} with {model.n_heads} attention heads and"
        f" {mlp}; vocabulary of {words.whole(model.d_vocab)} tokens; unembedding {tied}. The"
        " reasons are the developer's to state."
    )


def _input(facts: Facts) -> str:
    return f"Text, at most {words.whole(facts.model.context)} tokens"


def _output(facts: Facts) -> str:
    return f"Text; input and output together at most {words.whole(facts.model.context)} tokens"


def _size(facts: Facts) -> str:
    total = facts.model.parameters.total
    return f"{total:.2e} parameters ({words.whole(total)})"


def _size_range(facts: Facts) -> str:
    total = facts.model.parameters.total
    return next((name for limit, name in _RANGES if total <= limit), _MORE) + " parameters"


def _software(facts: Facts) -> str:
    used = {name: v for name, v in facts.run.versions.items() if name in _LOADING}
    return "Loaded for the scan with " + ", ".join(f"{name} {v}" for name, v in used.items())


def _hardware(facts: Facts) -> str:
    return (
        f"The scan ran the model in {facts.model.dtype} on this kind of device: {facts.run.device}"
    )


def _integration(facts: Facts) -> str:
    return f"Loads with Hugging Face transformers as a model of the family {facts.model.family}"


_LOADING = ("python", "torch", "transformers", "tokenizers")

_IN_PART = frozenset({"model_name", "design", "integration", "hardware", "software"})
"""Items of which a scan knows a part.

The name it was given need not be the one the model is published under; the reasons for a design
are nobody's measurement; what ran the model once is not what it requires.
"""

_MEASURED: dict[str, Callable[[Facts], str]] = {
    "model_name": lambda facts: facts.model.name,
    "authenticity": _authenticity,
    "architecture": _architecture,
    "design": _design,
    "input": _input,
    "output": _output,
    "size": _size,
    "size_range": _size_range,
    "integration": _integration,
    "hardware": _hardware,
    "software": _software,
}
