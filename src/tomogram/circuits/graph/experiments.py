"""Experiments: change what one node writes and read what becomes of another, by interventions.

Nothing here uses the maps that the edges were computed with, except to say what a node writes: the
changed prompt runs through the model itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from tomogram.circuits.graph.frozen import FrozenNorm
from tomogram.circuits.graph.graph import ERROR, FEATURE, NEURON, POSITION, TARGET, TOKEN
from tomogram.circuits.graph.rows import Reading
from tomogram.circuits.graph.trace import Traced
from tomogram.models.capture import Intervention
from tomogram.models.model import Run
from tomogram.models.sites import Site

Held = Literal["frozen", "direct", "nothing"]
"""What is held: attention patterns, norm denominators and MLPs; MLPs alone; nothing."""

Reader = tuple[Site, Callable[[Tensor], Tensor]]
"""Where a node is read, and how: from the value of one row there to a number."""

Written = tuple[Site, int, Tensor]
"""Where something is written, at which position, and what."""

AT_ONCE = 2**25
"""Numbers that what runs together may take."""


@dataclass(frozen=True)
class Experiment:
    """Node `source` writes `factor` times more of what it wrote; node `target` is read."""

    source: int
    target: int
    factor: float


@torch.no_grad()
def responses(traced: Traced, experiments: Sequence[Experiment], held: Held) -> list[float]:
    """By how much each experiment changes the value of its target.

    A feature is read as its score, also where the change makes it fall silent; a neuron as its
    value, except with everything frozen, where it is read by its ratio.
    """
    found: list[float] = []
    size = at_once(traced)
    for start in range(0, len(experiments), size):
        found += _batch(traced, experiments[start : start + size], held)
    return found


def at_once(traced: Traced, *, layers: int = 1, most: int = 64) -> int:
    """How many rows of the prompt a run may have: what `layers` layers make is kept."""
    frozen = traced.linear.frozen
    heads = frozen.blocks[0].attention.pattern.shape[0]
    width = max(traced.model.d_mlp or 0, traced.model.d_model)
    a_layer = frozen.n_pos * (heads * frozen.n_pos + 4 * width)
    row = layers * a_layer + frozen.logits.numel()
    return max(1, min(most, AT_ONCE // row))


def _batch(traced: Traced, experiments: Sequence[Experiment], held: Held) -> list[float]:
    found_at = readers(traced, [each.target for each in experiments], held)
    changes = [((each.source,), each.factor) for each in experiments]
    run = changed(traced, changes, held, {site for site, _ in found_at})
    found = []
    for row, (site, read) in enumerate(found_at):
        value = run[site]
        found.append(float(read(value[row].double()) - read(value[-1].double())))
    return found


@torch.no_grad()
def changed(
    traced: Traced,
    changes: Sequence[tuple[Sequence[int], float]],
    held: Held,
    capture: Collection[Site],
) -> Run:
    """Run the prompt once a change, nodes `changes[row][0]` writing `changes[row][1]` times more.

    The last row of the run is left as it is.
    """
    frozen = traced.linear.frozen
    rows = len(changes) + 1
    put: dict[Site, list[tuple[int, int, Tensor]]] = {}
    for row, (sources, factor) in enumerate(changes):
        for source in sources:
            for site, position, vector in written(traced, source):
                put.setdefault(site, []).append((row, position, factor * vector))
    added = {site: _added(frozen.like, rows, listed) for site, listed in put.items()}
    return traced.model.run(
        frozen.tokens.expand(rows, -1),
        capture=capture,
        interventions=interventions(traced, added, held),
        logits=Site("logits") in capture,
    )


def written(traced: Traced, node: int) -> list[Written]:
    """What a node writes: site, position and vector, for each place it writes to."""
    graph, linear = traced.graph, traced.linear
    kind, position = graph.nodes.kind[node], int(graph.nodes.position[node])
    layer = int(graph.nodes.layer[node])
    if kind == ERROR:
        return [(Site("mlp_out", layer), position, linear.explained.errors[layer][position])]
    if kind == TOKEN:
        return [(Site("embed"), position, linear.frozen.embeds[0][position])]
    if kind == POSITION:
        return [(Site("pos_embed"), position, linear.frozen.embeds[1][position])]
    if kind == TARGET:
        return []
    source = int(traced.sources[node])
    number, _ = linear.group_of(source)
    chosen = torch.tensor([source - linear.offsets[number]], device=linear.frozen.like.device)
    return [
        (Site("mlp_out", layer), position, write.vectors(chosen)[0])
        for layer, writes in enumerate(linear.explained.writes)
        for group, write in writes
        if group == number
    ]


def _added(like: Tensor, rows: int, listed: Sequence[tuple[int, int, Tensor]]) -> Tensor:
    found = like.new_zeros(rows, *like.shape)
    for row, position, vector in listed:
        found[row, position] += vector
    return found


def interventions(
    traced: Traced, added: Mapping[Site, Tensor], held: Held
) -> dict[Site, Intervention]:
    """What adds `added` [row pos d_model] to what is written, and holds what is to be held."""
    frozen, explained = traced.linear.frozen, traced.linear.explained
    seen: dict[Site, Tensor] = {}
    actions: dict[Site, Intervention] = {}

    def more(site: Site) -> Intervention:
        return lambda value: value + added[site].to(value.dtype)

    def record(site: Site) -> None:
        def keep(value: Tensor) -> Tensor:
            seen[site] = value
            return value

        actions[site] = keep

    for site in added:
        actions[site] = more(site)
    if held == "nothing":
        return actions

    def mlp_out(layer: int) -> Intervention:
        site, skips = Site("mlp_out", layer), [s for s in explained.skips if s.writes == layer]

        def put(value: Tensor) -> Tensor:
            new = frozen.blocks[layer].mlp_out.expand(value.shape)
            if site in added:
                new = new + added[site]
            for skip in skips:
                now = seen[Site("mlp_in", skip.reads)].to(new.dtype)
                new = new + (now - frozen.blocks[skip.reads].mlp_in) @ skip.weight.T
            return new.to(value.dtype)

        return put

    for layer in range(len(frozen.blocks)):
        actions[Site("mlp_out", layer)] = mlp_out(layer)
    for skip in explained.skips:
        record(Site("mlp_in", skip.reads))
    if held == "frozen":
        _freeze(traced, actions, seen, record)
    return actions


def _freeze(
    traced: Traced,
    actions: dict[Site, Intervention],
    seen: dict[Site, Tensor],
    record: Callable[[Site], None],
) -> None:
    """Patterns and denominators as they were; what is read through a norm is kept on the way."""
    frozen, wiring = traced.linear.frozen, traced.model.wiring

    clean = traced.model.run(
        frozen.tokens[None],
        capture=[Site("pattern", layer) for layer in range(len(frozen.blocks))],
        logits=False,
    )
    for layer, block in enumerate(frozen.blocks):
        wired = wiring.blocks[layer]
        actions[Site("pattern", layer)] = _always(clean[Site("pattern", layer)])
        pre, mid = Site("resid_pre", layer), Site("resid_mid", layer)
        record(pre)
        actions[Site("attn_in", layer)] = _through(block.attention_norm.apply, pre, seen)
        if block.attention_post_norm is not None:
            z = Site("head_z", layer)
            record(z)
            attended = _attended(wired.heads_to_stream, block.attention_post_norm)
            actions[Site("attn_out", layer)] = _through(attended, z, seen)
        source = pre if block.parallel else mid
        record(source)
        read = Site("mlp_in", layer)
        actions[read] = _through(block.mlp_norm.apply, source, seen, keep=read)


def _always(clean: Tensor) -> Intervention:
    return lambda value: clean.expand(value.shape)


def _attended(heads_to_stream: nn.Module, post: FrozenNorm) -> Callable[[Tensor], Tensor]:
    return lambda z: post.apply(heads_to_stream(z.flatten(2)).to(post.gain.dtype))


def _through(
    function: Callable[[Tensor], Tensor],
    source: Site,
    seen: dict[Site, Tensor],
    keep: Site | None = None,
) -> Intervention:
    """A value made anew from another one that was kept."""

    def put(value: Tensor) -> Tensor:
        new = function(seen[source]).to(value.dtype)
        if keep is not None:
            seen[keep] = new
        return new

    return put


def readers(traced: Traced, nodes: Sequence[int], held: Held) -> list[Reader]:
    """Where and how some nodes are read."""
    return [_reader(traced, node, held) for node in nodes]


def _reader(traced: Traced, node: int, held: Held) -> Reader:
    graph, linear = traced.graph, traced.linear
    position = int(graph.nodes.position[node])
    layer, kind = int(graph.nodes.layer[node]), graph.nodes.kind[node]
    if kind in (FEATURE, NEURON):
        source = int(traced.sources[node])
        number, group = linear.group_of(source)
        if kind == NEURON and held != "frozen":
            unit = int(graph.nodes.unit[node])
            return Site("neurons", layer), lambda value: value[position, unit]
        chosen = torch.tensor([source - linear.offsets[number]], device=linear.frozen.like.device)
        if held != "frozen":
            vector = group.reads(chosen)[0][0].double()
            return Site("mlp_in", layer), lambda value: value[position] @ vector
        return _stream(traced, linear.reading(number, chosen))
    row = node - graph.targets.start
    if held == "frozen":
        return _stream(traced, traced.aim.reading.at(slice(row, row + 1)))
    if traced.aim.logits is not None:
        mix = traced.aim.logits[row].double()
        return Site("logits"), lambda value: value[position] @ mix
    if traced.aim.unit is not None:
        unit = traced.aim.unit.number
        number, group = next(
            (n, g)
            for n, g in enumerate(linear.explained.groups)
            if g.layer == traced.aim.unit.layer
        )
        if group.kind == "neuron":
            return Site("neurons", group.layer), lambda value: value[position, unit]
        every = torch.arange(group.size, device=linear.frozen.like.device)
        same = (group.positions(every) == position) & (group.numbers(every) == unit)
        vector = group.reads(same.nonzero()[:, 0])[0][0].double()
        return Site("mlp_in", group.layer), lambda value: value[position] @ vector
    assert traced.aim.direction is not None
    along = traced.aim.direction.vector.double()
    return traced.aim.direction.site, lambda value: value[position] @ along


def _stream(traced: Traced, reading: Reading) -> Reader:
    """A reading of the stream, denominators held."""
    layer, between = divmod(reading.depth, 2)
    n = len(traced.linear.frozen.blocks)
    if layer == n:
        site = Site("resid_post", n - 1)
    else:
        site = Site("resid_mid" if between else "resid_pre", layer)
    position, vector = int(reading.positions[0]), reading.vectors[0].double()
    return site, lambda value: value[position] @ vector
