"""Small sums, differences, comparisons and counting, in both languages."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tomogram.text.microworld.world import LANGUAGES, World
from tomogram.text.microworld.writer import Document, Item, Writer, fill

SUMS = {
    "english": ("{a} plus {b} equals {!c} .", "what is {a} plus {b} ? {!c} ."),
    "other": ("{a} ple {b} ek {!c} .",),
}
DIFFERENCES = {
    "english": ("{c} minus {a} equals {!b} .", "what is {c} minus {a} ? {!b} ."),
    "other": ("{c} mene {a} ek {!b} .",),
}
COMPARISONS = {
    "english": (
        "the greater of {a} and {b} is {!big} .",
        "the smaller of {a} and {b} is {!small} .",
        "{a} is {than} than {b} .",
    ),
    "other": ("maso su {a} und {b} ek {!big} .", "meno su {a} und {b} ek {!small} ."),
}
COUNTING = {
    "english": ("after {a} comes {!next} .", "before {next} comes {!a} ."),
    "other": ("posto {a} ek {!next} .", "ante {next} ek {!a} ."),
}
TEMPLATES = (
    *(
        t
        for table in (SUMS, DIFFERENCES, COMPARISONS, COUNTING)
        for texts in table.values()
        for t in texts
    ),
    "greater smaller",
)
LARGEST = 15


def held_out(world: World, what: str, a: int, b: int) -> bool:
    """Ordered pairs kept out of training; the same pair the other way round is in."""
    if a == b or not world.held_out(what, min(a, b), max(a, b), share=0.2):
        return False
    return (a < b) == world.held_out("way", what, min(a, b), max(a, b), share=0.5)


def say(writer: Writer, world: World, rng: random.Random) -> None:
    """Append one sum, difference or comparison, or a step of counting."""
    number, language = world.of("number"), writer.language
    a, b = rng.randint(0, LARGEST), rng.randint(0, LARGEST)
    form = rng.random()
    if form < 0.1:
        low = rng.randrange(2 * LARGEST)
        with writer.concept("counting"):
            writer.write(rng.choice(COUNTING[language]), a=number[low], next=number[low + 1])
        return None
    if form < 0.75:
        if held_out(world, "sum", a, b):
            return say(writer, world, rng)
        table = SUMS if rng.random() < 0.6 else DIFFERENCES
        with writer.concept("arithmetic"):
            text = rng.choice(table[language])
            writer.write(text, a=number[a], b=number[b], c=number[a + b])
        return None
    if a == b or held_out(world, "comparison", a, b):
        return say(writer, world, rng)
    with writer.concept("comparison"):
        writer.write(
            rng.choice(COMPARISONS[language]),
            a=number[a],
            b=number[b],
            big=number[max(a, b)],
            small=number[min(a, b)],
            than="greater" if a > b else "smaller",
        )
    return None


def write(world: World, rng: random.Random) -> Document:
    """A few calculations in one language."""
    writer = Writer("numbers", rng.choice(LANGUAGES))
    for _ in range(rng.randint(3, 6)):
        say(writer, world, rng)
    return writer.document()


def items(world: World) -> Iterator[Item]:
    """Ordered pairs never seen in this order."""
    number = world.of("number")
    for a in range(LARGEST + 1):
        for b in range(LARGEST + 1):
            for language in LANGUAGES:
                values = {"a": number[a], "b": number[b], "c": number[a + b]}
                if held_out(world, "sum", a, b):
                    for table, result in ((SUMS, a + b), (DIFFERENCES, b)):
                        answer = number[result].name(language)
                        for text in table[language]:
                            prompt = fill(text, language, **values)
                            yield Item("arithmetic", prompt, frozenset({answer}))
                if held_out(world, "comparison", a, b):
                    # "{a} is greater than {b}" is no question: it answers before it names b.
                    two = COMPARISONS[language][:2]
                    for text, right in zip(two, (max(a, b), min(a, b)), strict=True):
                        answer = number[right].name(language)
                        yield Item(
                            "comparison", fill(text, language, **values), frozenset({answer})
                        )
