"""A Hugging Face model card: the disclosure's document under metadata with a `model-index`.

Metadata and card are made by huggingface_hub. Only figures the scan measured go into the index;
licence and base models are the developer's, and are left out where nothing is declared.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tomogram.disclosure.contents import disclosure
from tomogram.disclosure.facts import Facts
from tomogram.disclosure.figures import Figure, figures
from tomogram.disclosure.markdown import markdown
from tomogram.report.tokens import visible

TASK = "text-generation"


def model_card(facts: Facts) -> str:
    """The card's text."""
    from huggingface_hub import ModelCardData

    own = facts.statement
    data = ModelCardData(
        model_name=visible(facts.model.name),
        license=own.licence.lower() or None,
        base_model=list(own.base_models) or None,
        library_name="transformers",
        pipeline_tag=TASK,
        tags=["interpretability", "tomogram"],
        eval_results=list(_results(facts)),
    )
    return f"---\n{data.to_yaml()}\n---\n\n{markdown(disclosure(facts))}"


def _results(facts: Facts) -> Iterator[Any]:
    from huggingface_hub import EvalResult

    for figure in figures(facts):
        yield EvalResult(
            task_type=TASK,
            task_name="Scan of the model's inside",
            dataset_type=facts.text.kind,
            dataset_name=visible(facts.text.name),
            dataset_split="held out",
            dataset_revision=facts.text.digest,
            metric_type=figure.key,
            metric_name=figure.name,
            metric_value=figure.value,
            metric_args=_interval(figure),
        )


def _interval(figure: Figure) -> dict[str, float | int] | None:
    if figure.interval is None:
        return None
    low, high = figure.interval
    return {"low": low, "high": high, "n": figure.n, "confidence": 0.95}
