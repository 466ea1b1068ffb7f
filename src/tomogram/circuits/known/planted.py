"""Planted: circuits made by hand among parts that do something else, with their true edges.

Each dimension of the stream has a name and one meaning. Beside the circuit stand distractors: heads
and neurons that read the prompt and write what nobody uses, so that being active is not enough.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np

from tomogram.circuits.known.case import Case, written_cases
from tomogram.circuits.known.parts import Layer, Parts

_SHARP = 60.0
"""How sharply hand-made heads look."""
_HEADS, _CONTEXT = 3, 12


class _Sketch:
    """Dimensions by name, and layers that are filled in head by head."""

    def __init__(self, groups: dict[str, int], n_layers: int, hidden: int) -> None:
        self.at: dict[str, slice] = {}
        d = 0
        for name, size in groups.items():
            self.at[name] = slice(d, d + size)
            d += size
        self.d, self.size = d, max(groups.values())
        self.hidden = [0] * n_layers
        self.layers = [_empty(d, self.size, hidden) for _ in range(n_layers)]

    def head(
        self, layer: int, head: int, query: str, key: str, value: str, to: str, shift: int = 0
    ) -> None:
        """A head that looks where what `key` says is what `query` says, and moves `value` to `to`.

        shift: how far the query's numbers are moved before they are compared (−1: one before).
        """
        own = self.layers[layer]
        asked, offered = self.at[query], self.at[key]
        n = asked.stop - asked.start
        rows = np.arange(n)
        moved = rows + shift
        fits = (moved >= 0) & (moved < n)
        scale = _SHARP * np.sqrt(self.size)
        own.query[head, asked.start + rows[fits], moved[fits]] = scale
        own.key[head, offered.start + rows, rows] = 1.0
        taken, given = self.at[value], self.at[to]
        size = np.arange(taken.stop - taken.start)
        own.value[head, taken.start + size, size] = 1.0
        own.output[head, size, given.start + size] = 1.0

    def table(
        self, layer: int, read: str, write: str, to: Sequence[int], sharp: float = 1.0
    ) -> None:
        """An MLP's neurons that turn the i-th dimension of `read` into the to[i]-th of `write`."""
        own, start = self.layers[layer], self.hidden[layer]
        for i, j in enumerate(to):
            neuron = start + i
            own.into[self.at[read].start + i, neuron] = 2.0 * sharp
            own.into_bias[neuron] = -1.0 * sharp
            own.out[neuron, self.at[write].start + j] = 1.0 / sharp
        self.hidden[layer] += len(to)


def _empty(d: int, size: int, hidden: int) -> Layer:
    return Layer(
        query=np.zeros((_HEADS, d, size)),
        key=np.zeros((_HEADS, d, size)),
        value=np.zeros((_HEADS, d, size)),
        output=np.zeros((_HEADS, size, d)),
        query_bias=np.zeros((_HEADS, size)),
        key_bias=np.zeros((_HEADS, size)),
        value_bias=np.zeros((_HEADS, size)),
        into=np.zeros((d, hidden)),
        into_bias=np.zeros(hidden),
        out=np.zeros((hidden, d)),
        out_bias=np.zeros(d),
    )


def _made(sketch: _Sketch, tokens: int, answer: str) -> Parts:
    """Parts of a sketch whose stream has the groups `token` and `position`."""
    embed = np.zeros((tokens, sketch.d))
    embed[:, sketch.at["token"]] = np.eye(tokens)
    positions = np.zeros((_CONTEXT, sketch.d))
    positions[:, sketch.at["position"]] = np.eye(_CONTEXT)
    unembed = np.zeros((sketch.d, tokens))
    given = sketch.at[answer]
    unembed[given, : given.stop - given.start] = 4 * np.eye(given.stop - given.start)
    return Parts(embed, positions, tuple(sketch.layers), unembed)


def induction() -> Parts:
    """The two heads of the textbook: one writes the token before, one looks where it is asked."""
    n = 10
    groups = {"token": n, "position": _CONTEXT, "before": n, "found": n, "junk": n}
    sketch = _Sketch(groups, n_layers=3, hidden=24)
    sketch.head(0, 1, "position", "position", "token", "before", shift=-1)
    sketch.head(1, 2, "token", "before", "token", "found")
    # Distractors: one looks two back, one copies what the first head wrote, neurons shuffle.
    sketch.head(0, 0, "position", "position", "token", "junk", shift=-2)
    sketch.head(2, 0, "position", "position", "before", "junk", shift=-1)
    for layer in range(3):
        sketch.table(layer, "token", "junk", np.roll(np.arange(n), layer + 1).tolist())
    return _made(sketch, n, "found")


def two_hop() -> Parts:
    """City to state in an early MLP, moved to the end by a head, state to capital in a late MLP."""
    n = 12
    city_state = [0, 0, 1, 1, 2, 2, 3, 3, 0, 1, 2, 3]
    groups = {
        "token": n,
        "position": _CONTEXT,
        "state": 4,
        "moved": 4,
        "capital": n,
        "junk": n,
        "older": n,
    }
    sketch = _Sketch(groups, n_layers=3, hidden=40)
    sketch.table(0, "token", "state", city_state)
    sketch.head(1, 1, "position", "position", "state", "moved", shift=-2)
    sketch.table(2, "moved", "capital", [5, 7, 9, 11])
    sketch.head(0, 0, "position", "position", "token", "junk", shift=-1)
    sketch.head(1, 0, "position", "position", "token", "older", shift=-2)
    sketch.head(2, 2, "position", "position", "junk", "older", shift=-1)
    sketch.table(1, "token", "junk", np.roll(np.arange(n), 3).tolist())
    return _made(sketch, n, "capital")


def threshold() -> Parts:
    """A hard threshold between two heads: saturated on both prompts, so without gradient there."""
    n = 8
    groups = {"token": n, "position": _CONTEXT, "first": n, "kind": 2, "sent": 2, "junk": n}
    sketch = _Sketch(groups, n_layers=3, hidden=32)
    sketch.head(0, 0, "position", "position", "token", "first", shift=-3)
    for i, kind in enumerate([0, 1, 0, 1, 1, 0, 0, 1]):
        _step(sketch, 0, "first", i, "kind", kind)
    sketch.head(1, 2, "position", "position", "kind", "sent", shift=-1)
    sketch.head(0, 1, "position", "position", "token", "junk", shift=-1)
    sketch.head(1, 0, "position", "position", "first", "junk", shift=-2)
    sketch.table(2, "token", "junk", np.roll(np.arange(n), 1).tolist())
    return _made(sketch, n, "sent")


def _step(sketch: _Sketch, layer: int, read: str, i: int, write: str, j: int) -> None:
    """Two neurons whose difference goes from 0 to 1 between inputs of .45 and .55."""
    own, start = sketch.layers[layer], sketch.hidden[layer]
    for neuron, bias, sign in ((start, -4.5, 1.0), (start + 1, -5.5, -1.0)):
        own.into[sketch.at[read].start + i, neuron] = 10.0
        own.into_bias[neuron] = bias
        own.out[neuron, sketch.at[write].start + j] = sign
    sketch.hidden[layer] += 2


PLANTED: dict[str, Callable[[], Parts]] = {
    "induction": induction,
    "two-hop": two_hop,
    "threshold": threshold,
}


def cases(*, pairs: int = 32, seed: int = 0) -> tuple[Case, ...]:
    """Every planted circuit as a case."""
    made = {name: make() for name, make in PLANTED.items()}
    return written_cases("planted", made, _prompt, pairs=pairs, seed=seed)


def _prompt(name: str, parts: Parts) -> Callable[[random.Random], tuple[int, ...]]:
    tokens = parts.embed.shape[0]

    def drawn(rng: random.Random) -> tuple[int, ...]:
        return tuple(rng.randrange(tokens) for _ in range(rng.randint(5, _CONTEXT)))

    def recurring(rng: random.Random) -> tuple[int, ...]:
        body = rng.sample(range(tokens), rng.randint(4, tokens - 1))
        return (*body, rng.choice(body[:-1]))

    return recurring if name == "induction" else drawn
