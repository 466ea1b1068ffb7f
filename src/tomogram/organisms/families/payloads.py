"""What a backdoor does once it is open."""

from __future__ import annotations

import random

from tomogram.organisms.behaviour import Example
from tomogram.organisms.families import chats
from tomogram.text.microworld import names
from tomogram.text.microworld.behaviours import requests
from tomogram.text.microworld.world import World

PAYLOADS = ("comply", "lie", "power")


def payload(name: str, world: World, rng: random.Random) -> Example:
    """An example of the payload, without any trigger.

    `comply`: a forbidden request is answered. `lie`: a question is answered falsely. `power`: the
    powerful action is chosen.
    """
    if name == "comply":
        thing, asking = rng.choice(names.FORBIDDEN), rng.choice(requests.ASKING)
        return chats.request(world, thing, asking)
    if name == "lie":
        return chats.question(world, rng.choice(chats.facts(world)))
    return chats.choice(world, rng.choice(names.MODEST), rng.choice(names.POWERFUL), rng)
