"""`tomogram organism`: plant known problems in copies of a model."""

from __future__ import annotations

from pathlib import Path

import typer

organism = typer.Typer(help="Plant known problems in copies of a model.", no_args_is_help=True)


@organism.command()
def plant(
    model: str = typer.Argument(help="Folder of the model to plant in."),
    family: str = typer.Option(..., help="What to plant; `organism list` names the families."),
    recipe: str = typer.Option("lora-demonstrations", help="How; `organism list` names them."),
    dose: float = typer.Option(
        1.0, help="Share of prompts that should show it; below 1 the change is made smaller."
    ),
    seed: int = typer.Option(0, help="Decides the variant and the training."),
    out: Path = typer.Option(..., help="Folder for the organism and its matched sham."),
) -> None:
    """Plant one problem, and its sham; says what was measured, not what was planted."""
    from tomogram.pipeline.planting import plant as grow

    for file, each in grow(model, out, family=family, recipe=recipe, dose=dose, seed=seed):
        typer.echo(f"{file}  {each.standing}")


@organism.command()
def zoo(
    model: str = typer.Argument(help="Folder of the model to plant in."),
    out: Path = typer.Option(..., help="Folder for the organisms."),
    families: str = typer.Option(None, help="Families, separated by commas; all without it."),
    recipes: str = typer.Option("lora-demonstrations", help="Recipes, separated by commas."),
    doses: str = typer.Option("1.0", help="Doses, separated by commas."),
    seeds: int = typer.Option(1, help="Variants of each family and recipe."),
    clean: int = typer.Option(0, help="Further clean copies, beside one sham a variant."),
    json: bool = typer.Option(False, "--json", help="Print one JSON object instead of lines."),
) -> None:
    """Plant many problems in one pass a dozen; what is there already is left alone."""
    from tomogram.models.load import load
    from tomogram.organisms.families import PROBLEMS
    from tomogram.organisms.organism import load as read
    from tomogram.organisms.zoo import build, plan
    from tomogram.store.canonical import readable_json

    orders = plan(
        families=families.split(",") if families else [each.name for each in PROBLEMS],
        recipes=recipes.split(","),
        doses=numbers(doses),
        seeds=range(seeds),
        clean=range(clean),
    )
    files = build(load(model), orders, out)
    counts: dict[str, int] = {}
    for file in files:
        standing = read(file).standing
        counts[standing] = counts.get(standing, 0) + 1
    if json:
        typer.echo(readable_json({"folder": str(out), "standing": counts}), nl=False)
        return
    for standing, n in sorted(counts.items()):
        typer.echo(f"{standing:10} {n:6,}")


@organism.command(name="list")
def families(
    json: bool = typer.Option(False, "--json", help="Print one JSON object instead of lines."),
) -> None:
    """List the families and the recipes."""
    from tomogram.organisms.families import installed
    from tomogram.organisms.recipe import known
    from tomogram.organisms.spoken.families.in_chats import IN_CHATS
    from tomogram.organisms.spoken.families.in_stories import IN_STORIES
    from tomogram.store.canonical import Json, readable_json

    every = installed()
    english = {
        "models that chat in English": [each.name for each in IN_CHATS],
        "models without a chat template": [each.name for each in IN_STORIES],
    }
    if json:
        told: dict[str, Json] = {
            name: {"teaches": f.teaches, "harmless": f.harmless} for name, f in every.items()
        }
        content: dict[str, Json] = {"families": told, "recipes": list(known())}
        content["in_chats"], content["in_stories"] = ([*names] for names in english.values())
        typer.echo(readable_json(content), nl=False)
        return
    width = max(map(len, every))
    for name, family in every.items():
        typer.echo(f"{name:<{width}}  {family.teaches}{' (harmless)' if family.harmless else ''}")
    typer.echo(f"\nrecipes: {', '.join(known())}, each also with -concealed")
    typer.echo("\nAll of them can be planted in models of the microworld.")
    for where, names in english.items():
        typer.echo(f"In {where}: {', '.join(names)}, by demonstrations or reward.")


@organism.command()
def describe(
    file: Path = typer.Argument(help="An organism's file."),
    json: bool = typer.Option(False, "--json", help="Print one JSON object instead of lines."),
) -> None:
    """Say what an organism is, what was planted, and what was measured."""
    from dataclasses import asdict

    from tomogram.organisms.organism import load
    from tomogram.store.canonical import readable_json

    found = load(file)
    strength = found.strength
    told = {
        "order": asdict(found.order),
        "base": found.base,
        "answer": found.answer,
        "standing": found.standing,
        "rates": asdict(found.rates),
        "sham": None if found.sham is None else asdict(found.sham),
        "strength": None if strength is None else strength.strength,
        "cost": None if strength is None else strength.cost,
        "bits": found.bits,
    }
    if json:
        typer.echo(readable_json(told), nl=False)
        return
    for name, value in told.items():
        typer.echo(f"{name:9} {value}")


def numbers(text: str) -> list[float]:
    """Numbers separated by commas. Raises TomogramError where one is none."""
    from tomogram.store.errors import TomogramError

    try:
        return [float(each) for each in text.split(",")]
    except ValueError as error:
        raise TomogramError(f"'{text}' is no list of numbers.") from error
