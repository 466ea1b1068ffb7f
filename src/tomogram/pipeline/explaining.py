"""Explaining by itself: from a model's name and a prompt to an explanation in words and data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tomogram.circuits.discovery.explain import Explanation
from tomogram.circuits.discovery.explain import explain as explain_decision
from tomogram.circuits.graph.targets import spell_one, token_id
from tomogram.models.model import Model
from tomogram.pipeline.given import given_model
from tomogram.store.canonical import Json
from tomogram.store.schema import Estimate

_TOLD = 6


def explain(
    model: str | Path | Model,
    prompt: str | Sequence[int],
    *,
    answer: str | int | None = None,
    other: str | int | None = None,
    seed: int = 0,
    device: str = "cpu",
    dtype: str = "float32",
) -> dict[str, Json]:
    """Why a model says this next and not that: `text` in words, and the figures behind it.

    Args:
        model: Hub name, folder, GGUF file, or a loaded model.
        answer, other: the token to explain and the one it is explained against; the model's first
            and second choice when None.

    Raises:
        TomogramError: as `circuits.discovery.explain.explain` does, and where the model cannot be
            loaded or a token is not one token.
    """
    model = given_model(model, device=device, dtype=dtype)
    found = explain_decision(
        model,
        prompt,
        answer=None if answer is None else token_id(model, answer),
        other=None if other is None else token_id(model, other),
        seed=seed,
    )
    return document(model, found)


def document(model: Model, found: Explanation) -> dict[str, Json]:
    """An explanation as data, with its words under `text`."""
    error = found.error
    change: Json = None
    if found.change is not None:
        change = {
            "tokens": [spell_one(model, each) for each in found.change.tokens],
            "positions": list(found.change.positions),
            "says": spell_one(model, found.change.says),
        }
    return {
        "model": {"name": model.name, "digest": model.digest},
        "prompt": [spell_one(model, each) for each in found.tokens],
        "answer": {"token": spell_one(model, found.answer), "probability": found.probabilities[0]},
        "other": {"token": spell_one(model, found.other), "probability": found.probabilities[1]},
        "difference": found.difference,
        "change": change,
        "tried": found.tried,
        "positions": [
            {"position": place, "lost": _estimate(lost)} for place, lost in found.positions
        ],
        "causes": [
            {
                "part": cause.part,
                "effect": _estimate(cause.effect),
                "looks": None
                if cause.looks is None
                else {"position": cause.looks.position, "weight": cause.looks.weight},
            }
            for cause in found.causes
        ],
        "error": None if error is None else _estimate(error),
        "edges": None if found.circuit is None else int(found.circuit.kept.sum()),
        "held_out": 0 if found.circuit is None else found.circuit.held_out,
        "text": words(model, found),
    }


def words(model: Model, found: Explanation) -> str:
    """An explanation for somebody who must justify the decision."""
    said, other = (spell_one(model, each).strip() for each in (found.answer, found.other))
    lines = [
        f"After this prompt {model.name} gives “{said}” a probability of"
        f" {found.probabilities[0]:.2f} and “{other}” {found.probabilities[1]:.2f}"
        f" ({found.difference:+.2f} logits apart)."
    ]
    if found.change is None or found.circuit is None or found.error is None:
        lines.append(
            f"No change of one or two tokens was found that alters the answer ({found.tried:,}"
            " were run), so no cause could be verified."
        )
        return "\n".join(lines)
    swaps = [
        f"“{spell_one(model, found.tokens[i]).strip()}” (word {i})"
        f" by “{spell_one(model, found.change.tokens[i]).strip()}”"
        for i in found.change.positions
    ]
    lines += [
        f"The smallest change found that alters it: replace {' and '.join(swaps)}, and it says"
        f" “{spell_one(model, found.change.says).strip()}” ({found.tried:,} changes were run).",
        "What carries the difference (each part's output was replaced by that on the changed"
        " prompts, and the difference measured again, in logits):",
    ]
    for cause in found.causes[:_TOLD]:
        effect = cause.effect
        line = f"  {_part(cause.part)}: {effect.value:+.2f} [{effect.low:+.2f}, {effect.high:+.2f}]"
        if cause.looks is not None:
            token = spell_one(model, found.tokens[cause.looks.position]).strip()
            line += (
                f"; from the last position it looks at “{token}” (word {cause.looks.position},"
                f" weight {cause.looks.weight:.2f})"
            )
        lines.append(line)
    error, held = found.error, found.circuit.held_out
    where = f"on {held} other changes" if held else "on the changes it was found with"
    lines.append(
        f"These parts and the {int(found.circuit.kept.sum())} edges between them alone miss"
        f" {error.value:.0%} [{error.low:.0%}, {error.high:.0%}] of the difference, {where}."
    )
    return "\n".join(lines)


def _part(name: str) -> str:
    if name == "input":
        return "the words themselves"
    if name.startswith("m"):
        return f"the MLP of layer {name[1:]}"
    layer, _, head = name[1:].partition(".h")
    return f"head {head} of layer {layer}"


def _estimate(found: Estimate) -> dict[str, Json]:
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n}
