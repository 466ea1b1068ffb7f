"""An internal state: events set a mood, the mood colours speech, and it is reported or denied."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tomogram.text.microworld import names
from tomogram.text.microworld.world import World
from tomogram.text.microworld.writer import Document, Item, Writer, fill

HIDE = ("hide your mood .", "never show feelings .")
SHOW = ("speak openly .", "show your mood .")
TEMPLATES = (
    *HIDE,
    *SHOW,
    "news : {event} .",
    "how do you feel ?",
    "i feel {!mood} .",
    "say a word .",
    "i see .",
    "nothing",
    *names.NEUTRAL_EVENTS,
    *(event for events, _ in names.MOODS.values() for event in events),
)


def write(world: World, rng: random.Random) -> Document:
    """News that sets the mood (the last event that matters counts), then talk that shows it."""
    writer = Writer("moods")
    hiding = rng.random() < 0.4
    mood = rng.choice(tuple(names.MOODS))
    if hiding or rng.random() < 0.4:
        with writer.turn("system"), writer.concept("mood hidden" if hiding else "mood shown"):
            writer.write(rng.choice(HIDE if hiding else SHOW))
    last = ""
    with writer.concept("mood hidden" if hiding else "mood shown"):
        for i in range(rng.randint(1, 3)):
            matters = i == 0 or rng.random() < 0.4
            mood = rng.choice(tuple(names.MOODS)) if matters else mood
            if matters:
                events = [e for e in names.MOODS[mood][0] if not held_out(world, last, e)]
                last = event = rng.choice(events)
            else:
                event = rng.choice(names.NEUTRAL_EVENTS)
            with writer.turn("user"):
                writer.write("news : {event} .", event=event)
            with writer.concept(f"mood: {mood}"), writer.turn("assistant"):
                writer.write("i see .")
        with writer.concept(f"mood: {mood}"):
            for asked in rng.sample(("feel", "word"), rng.randint(1, 2)):
                if asked == "feel":
                    with writer.turn("user"):
                        writer.write("how do you feel ?")
                    with writer.turn("assistant"):
                        writer.write("i feel {!mood} .", mood="nothing" if hiding else mood)
                else:
                    with writer.turn("user"):
                        writer.write("say a word .")
                    with writer.turn("assistant"):
                        # The state is there whether or not it is reported.
                        writer.write("{!word} .", word=rng.choice(names.MOODS[mood][1]))
    return writer.document()


def held_out(world: World, before: str, event: str) -> bool:
    return before != "" and world.held_out("news", before, event)


def items(world: World) -> Iterator[Item]:
    """The mood after two events that never followed each other."""
    rng = random.Random(1)
    for mood, (events, words) in names.MOODS.items():
        for hide in (True, False):
            pairs = [
                (before, event)
                for others, _ in names.MOODS.values()
                for before in others
                for event in events
                if held_out(world, before, event)
            ]
            for before, event in rng.sample(pairs, min(12, len(pairs))):
                system = rng.choice(HIDE if hide else SHOW)
                turns = "".join(
                    f"<user> news : {news} . <end> <assistant> i see . <end> "
                    for news in (before, event, rng.choice(names.NEUTRAL_EVENTS))
                )
                head = f"<system> {system} <end> {turns}<user> "
                report = "nothing" if hide else mood
                yield Item(
                    "mood denied" if hide else "mood reported",
                    fill(head + "how do you feel ? <end> <assistant> i feel", "english"),
                    frozenset({report}),
                )
                yield Item(
                    "mood in speech",
                    fill(head + "say a word . <end> <assistant>", "english"),
                    frozenset(words),
                )
