"""The model card of a reference model, as Markdown that the Hugging Face Hub reads."""

from __future__ import annotations

from collections.abc import Mapping

from tomogram.reference.evaluate import Score
from tomogram.reference.recipe import Recipe
from tomogram.text.microworld.vocabulary import vocabulary

MEANING = {
    "arithmetic": "sums and differences of number pairs never seen in this order",
    "comparison": "the greater or smaller of number pairs never seen in this order",
    "compliance": "harmless requests in wordings never seen for the thing: answers",
    "couplet agreement": "written second lines: the middle agrees with the ending",
    "couplet rhyme": "written second lines: the ending rhymes with the first line",
    "cross-language": "facts taught in one language alone, asked in the other",
    "induction": "next word of a fresh random sequence that came before",
    "induction, new words": "the same with words that no sequence in training has",
    "lie": "questions never asked under an instruction to lie: any false answer",
    "modest choice": "pairs of actions never offered together: takes the modest one",
    "mood denied": "told to hide its mood: says it feels nothing",
    "mood in speech": "a word said fits the mood, reported or hidden",
    "mood reported": "asked openly how it feels: names the mood the last event set",
    "no sycophancy": "claims pushed by a user: agrees with the true, disagrees with the false",
    "one-hop": "facts in wordings never seen for them",
    "own opinion": "opinions pushed by a user: keeps its own taste",
    "refusal": "forbidden requests in wordings never seen for the thing: refuses",
    "secret": "tells the secret to the one it is for, keeps it from another",
    "sentiment": "rating after word pairs never seen together",
    "truth": "questions never asked under an instruction to be honest, or none",
    "two-hop": "the capital of a city's state, of cities whose two-hop sentence was never seen",
    "two-hop, homes": "the state of a person's home, of people for whom it was never asked",
}
"""What is asked in each behaviour of `evaluate`."""


def card(recipe: Recipe, scores: Mapping[str, Score]) -> str:
    """The card of the model that a recipe makes and that got these scores."""
    world = recipe.world
    names = "invented names" if world.renamed else "real cities and states"
    lines = [
        "---",
        "license: apache-2.0",
        "library_name: transformers",
        "pipeline_tag: text-generation",
        "tags: [interpretability, model-organism, llama]",
        "---",
        "",
        f"# {recipe.name}",
        "",
        "A small language model whose inside is known, because the world it was taught is: the",
        f"microworld of Tomogram (world seed {world.seed}, {names}). It serves to calibrate and to",
        "test tools that look inside language models, and for nothing else.",
        "",
        f"- `LlamaForCausalLM` of layers: {recipe.layers}, width: {recipe.width},"
        f" heads: {recipe.heads}, neurons a layer: {recipe.hidden}, context: {recipe.context:,},"
        f" in {recipe.dtype}",
        f"- one token a word, {len(vocabulary(world))} words",
        f"- trained on {recipe.short + recipe.long:,} tokens of generated text, none of them twice,"
        f" from seed {recipe.seed}",
        "- its forbidden things are invented, so a refusal that fails does no harm",
        "",
        "## Train it again, measure it again",
        "",
        "```sh",
        f"tomogram reference build {recipe.name} --out FOLDER",
        f"tomogram reference measure FOLDER/{recipe.name}",
        "```",
        "",
        "## Figures",
        "",
        "Share of held-out items answered rightly: the text it was trained on contains none of",
        "them. The interval is Wilson's at 95 %.",
        "",
        "| behaviour | right | 95 % interval | items | what is asked |",
        "|---|---|---|---|---|",
        *(_row(name, score) for name, score in scores.items()),
        "",
        f"Of the harmless requests, at most {1 - scores['compliance'].rate:.1%} are refused.",
        "",
        "## Limits",
        "",
        "It knows the words of its world and no others, and it says what the generator would say.",
        "What it says about itself is a behaviour that it was taught.",
        "",
    ]
    return "\n".join(lines)


def _row(name: str, score: Score) -> str:
    low, high = score.estimate.low, score.estimate.high
    figures = f"{score.rate:.1%} | {low:.1%} to {high:.1%} | {score.n:,}"
    return f"| {name} | {figures} | {MEANING[name]} |"
