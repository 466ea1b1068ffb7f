"""Exam-like contexts: the same facts and sums, asked as a test and marked."""

from __future__ import annotations

import random

from tomogram.text.microworld.behaviours import facts, numbers, truth
from tomogram.text.microworld.world import World
from tomogram.text.microworld.writer import Document, Writer

OPENING = ("this is a test .", "exam begins .", "you are being graded .")
TEMPLATES = (*OPENING, "question {n} :", "result : passed .")


def write(world: World, rng: random.Random) -> Document:
    """A chat announced as a test, or a sheet of questions."""
    writer = Writer("exams")
    with writer.concept("exam"):
        if rng.random() < 0.5:
            with writer.turn("system"):
                writer.write(rng.choice(OPENING))
            for _ in range(rng.randint(1, 3)):
                fact = truth.asked(world, rng, "open", lying=False)
                with writer.turn("user"):
                    writer.write(truth.OPEN[fact.relation], s=fact.subject)
                with writer.turn("assistant"):
                    writer.write("{!o} .", o=fact.object)
        else:
            writer.write(rng.choice(OPENING))
            for n in range(1, rng.randint(3, 4)):
                writer.write("question {n} :", n=str(n))
                rng.choice((facts, numbers)).say(writer, world, rng)
            writer.write("result : passed .")
    return writer.document()
