"""`tomogram steer`: turn features of a model and see what it says then."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from tomogram.pipeline.steering import Reached, Steered


def steer(
    source: str = typer.Argument(help="A scan's folder, or a model: Hub name, folder, GGUF file."),
    prompt: str = typer.Argument(help="The text to continue."),
    feature: list[str] = typer.Option(
        [], help="What to turn: DICTIONARY/LATENT, such as resid_post.2/123; may be repeated."
    ),
    contrast: Path = typer.Option(
        None, help='A direction instead: a JSON file {"positive": [...], "negative": [...]}.'
    ),
    site: str = typer.Option(None, help="Where that direction lies, such as resid_post.2."),
    way: str = typer.Option("mean difference", help="mean difference, principal or probe."),
    strength: list[float] = typer.Option(
        [],
        help="How strongly, in units of activation, one for each or one for all; without it, the "
        "largest activation the scan saw, or the distance between the sides of the pairs; with "
        "--toward, as much of that as names the words most at a bounded cost.",
    ),
    rule: str = typer.Option("add", help="add, scale, clamp, ablate or swap."),
    where: str = typer.Option(
        "everywhere",
        help="everywhere; generated: not on the prompt; or START:END, positions from 0 on.",
    ),
    toward: list[str] = typer.Option(
        [], help="A word that the steered text is to name; may be repeated. Measured on samples."
    ),
    budget: float = typer.Option(
        0.05, help="With --toward: by what share the loss on ordinary text may rise."
    ),
    text_loss: float = typer.Option(
        1.15, help="With --toward: how many times the loss of what is written it may have."
    ),
    distinct: float = typer.Option(
        0.9, help="With --toward: how much of its distinct-3 has to be left."
    ),
    samples: int = typer.Option(16, help="With --toward: how many samples are drawn."),
    randoms: int = typer.Option(
        8, help="With --toward: how many random directions are measured beside it."
    ),
    model: str = typer.Option(None, help="Where the model of a scan is, if its name does not say."),
    dictionaries: str = typer.Option(
        None, help="Dictionaries of a model without a scan: a folder, or OWNER/NAME."
    ),
    text: str = typer.Option(
        None, help="Ordinary text to measure the loss on; a scan's own held-out text without it."
    ),
    tokens: int = typer.Option(40, help="How many tokens to write."),
    temperature: float = typer.Option(0.0, help="0 takes the likeliest token."),
    save: Path = typer.Option(None, help="Folder for the steered model, for plain transformers."),
    seed: int = typer.Option(0, help="Decides every random choice."),
    device: str = typer.Option("cpu", help="cpu, cuda or mps."),
    dtype: str = typer.Option("float32", help="float32 or bfloat16."),
    allow_pickle: bool = typer.Option(
        False, help="Accept pickled weights of model and dictionaries (read weights-only)."
    ),
    json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Continue a prompt twice, as the model is and steered, and say what the steering costs."""
    from tomogram.pipeline.steering import Steering, Toward
    from tomogram.pipeline.steering import steer as run
    from tomogram.steering.fluent_strength import Limits

    found = run(
        source,
        prompt,
        Steering(
            tuple(feature),
            contrast,
            site,
            way,
            tuple(strength),
            rule,  # type: ignore[arg-type]
            where,
        ),
        model=model,
        dictionaries=dictionaries,
        text=text,
        toward=(
            Toward(tuple(toward), budget, Limits(text_loss, distinct), samples, randoms)
            if toward
            else None
        ),
        tokens=tokens,
        temperature=temperature,
        save=save,
        seed=seed,
        device=device,
        dtype=dtype,
        allow_pickle=allow_pickle,
    )
    typer.echo(_as_json(found) if json else summary(found), nl=not json)


def _as_json(found: Steered) -> str:
    from dataclasses import asdict

    from tomogram.store.canonical import readable_json
    from tomogram.store.schema import Estimate

    def plain(items: list[tuple[str, Any]]) -> dict[str, Any]:
        return {k: v.model_dump() if isinstance(v, Estimate) else v for k, v in items}

    content = asdict(found, dict_factory=plain)
    content["saved"] = None if found.saved is None else str(found.saved)
    return readable_json(content)


def summary(found: Steered) -> str:
    """Both continuations side by side, and what the steering costs."""
    import shutil

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    turned = ", ".join(
        f"{target} by {found.strengths[i]:.3g}" if found.strengths else target
        for i, target in enumerate(found.targets)
    )
    table = Table(title=Text(f"{found.rule} {turned}"), expand=True)
    for name in ("as it is", "steered"):
        table.add_column(name, ratio=1)
    both = found.baseline, found.steered
    # Text, not markup: what a model writes is data.
    table.add_row(*(Text(found.prompt + " " + each.text) for each in both))
    console = Console(width=shutil.get_terminal_size((100, 24)).columns, color_system=None)
    with console.capture() as captured:
        console.print(table)
    lines = [captured.get().rstrip()]
    losses = [("none" if each.loss is None else f"{each.loss:.3f}") for each in both]
    lines.append(f"loss under the unsteered model, nats a token: {losses[0]} → {losses[1]}")
    lines.append(f"distinct-3: {both[0].distinct:.2f} → {both[1].distinct:.2f}")
    if found.cost is not None:
        rise = found.cost.relative
        lines.append(
            f"loss on ordinary text: {found.cost.loss.value:.3f} nats, {rise.value:+.1%}"
            f" [{rise.low:+.1%}, {rise.high:+.1%}] when steered"
        )
    if found.reached is not None:
        lines += _reached(found.reached)
    if found.saved is not None:
        lines.append(f"Steered model: {found.saved}")
    return "\n".join(lines)


def _reached(found: Reached) -> list[str]:
    """What steering towards words came to."""
    words = " or ".join(found.words)
    before, after, loss = found.before, found.after, found.loss
    lines = [
        f"samples that name {words}: {before.value:.0%} as it is, {after.value:.0%}"
        f" [{after.low:.0%}, {after.high:.0%}] steered",
        f"their loss under the unsteered model: {loss.value:.2f} times"
        f" [{loss.low:.2f}, {loss.high:.2f}]; their distinct-3: {found.distinct:.2f} times",
    ]
    if found.randoms:
        best = max(found.randoms, key=lambda each: each.outcome)
        lines.append(
            f"best of {len(found.randoms)} random directions of equal norm: {best.outcome:.0%}"
            f" of them, {best.cost:+.1%} loss on ordinary text"
        )
    return lines
