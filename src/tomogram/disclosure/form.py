"""The items of the EU's Model Documentation Form and for whom each is meant.

General-Purpose AI Code of Practice (European Commission, 10 July 2025), Transparency chapter,
Measure 1.1, which puts Annexes XI and XII of the AI Act (Regulation (EU) 2024/1689) into one form.
Names are shortened here. Where the form asks the AI Office for a number and national authorities
for its range, there are two items.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Audience = Literal["AI Office", "national competent authorities", "downstream providers"]
AUDIENCES: tuple[Audience, ...] = get_args(Audience)
AI_OFFICE, NATIONAL, DOWNSTREAM = AUDIENCES

_ALL = AUDIENCES
_AUTHORITIES: tuple[Audience, ...] = (AI_OFFICE, NATIONAL)


@dataclass(frozen=True)
class Item:
    """One item of the form."""

    key: str
    section: str
    name: str
    audiences: tuple[Audience, ...]


def _section(name: str, *items: tuple[str, str, tuple[Audience, ...]]) -> tuple[Item, ...]:
    return tuple(Item(key, name, words, audiences) for key, words, audiences in items)


ITEMS: tuple[Item, ...] = (
    *_section(
        "General information",
        ("provider", "Legal name of the model provider", _ALL),
        ("model_name", "Model name", _ALL),
        ("authenticity", "Model authenticity", _AUTHORITIES),
        ("release_date", "Release date", _ALL),
        ("union_market_date", "Date of placing on the Union market", _ALL),
        ("dependencies", "Model dependencies", _ALL),
    ),
    *_section(
        "Model properties",
        ("architecture", "Model architecture", _ALL),
        ("design", "Design specifications of the model", _AUTHORITIES),
        ("input", "Input modalities and maximum size", _ALL),
        ("output", "Output modalities and maximum size", _ALL),
        ("size", "Total model size", _AUTHORITIES),
        ("size_range", "Total model size, as a range", (DOWNSTREAM,)),
    ),
    *_section(
        "Methods of distribution and licences",
        ("channels", "Distribution channels and levels of access", _AUTHORITIES),
        ("channels_downstream", "Distribution channels", (DOWNSTREAM,)),
        ("licence", "Licence", _ALL),
        ("assets", "Further assets made available", _ALL),
    ),
    *_section(
        "Use",
        ("acceptable_use", "Acceptable use policy", _ALL),
        ("intended_uses", "Intended, restricted and prohibited uses", _ALL),
        ("systems", "Type and nature of AI systems it can be integrated in", _ALL),
        ("integration", "Technical means for integration", (DOWNSTREAM,)),
        ("hardware", "Required hardware", (DOWNSTREAM,)),
        ("software", "Required software", (DOWNSTREAM,)),
    ),
    *_section(
        "Training process",
        ("training_design", "Design specifications of the training process", _AUTHORITIES),
        ("rationale", "Decision rationale", _AUTHORITIES),
    ),
    *_section(
        "Data used for training, testing and validation",
        ("data_type", "Data type and modality", _ALL),
        ("data_provenance", "Data provenance", _ALL),
        ("data_obtained", "How data was obtained and selected", _AUTHORITIES),
        ("data_points", "Number of data points", (AI_OFFICE,)),
        ("data_points_range", "Number of data points, as a range", (NATIONAL,)),
        ("data_scope", "Scope and main characteristics", _AUTHORITIES),
        ("data_curation", "Data curation methodologies", _ALL),
        ("data_unsuitable", "Measures to detect unsuitable data sources", _AUTHORITIES),
        ("data_biases", "Measures to detect identifiable biases", _AUTHORITIES),
    ),
    *_section(
        "Computational resources for training",
        ("training_time", "Training time", (AI_OFFICE,)),
        ("training_time_range", "Training time, as a range", (NATIONAL,)),
        ("compute", "Amount of computation used for training", (AI_OFFICE,)),
        ("compute_range", "Amount of computation, as an order of magnitude", (NATIONAL,)),
        ("compute_method", "How computation was measured", _AUTHORITIES),
    ),
    *_section(
        "Energy consumption",
        ("energy", "Energy used for training", _AUTHORITIES),
        ("energy_method", "How energy was measured", _AUTHORITIES),
        ("inference_compute", "Benchmarked computation used for inference", _AUTHORITIES),
        ("inference_method", "How computation for inference was measured", _AUTHORITIES),
    ),
)
"""All items, in the form's order."""

KEYS = frozenset(item.key for item in ITEMS)
