"""Rows: what every source puts into a value, by one pass backwards through the frozen model.

A row is a direction of the residual stream at one place, carried back to everything that writes
the stream before it. Nothing is differentiated: every step is the transpose of a matrix of
`frozen`. Positions after a row's own cannot reach it and are left out, and rows of one place in
depth are carried together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tomogram.circuits.graph.frozen import Few, Frozen, FrozenAttention
from tomogram.circuits.graph.units import Explained, Group, Skip


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """Values that are linear in the residual stream at one place in depth.

    Args:
        depth: 2·l is the stream before block l, 2·l + 1 the one between its attention and its MLP,
            2·n_layers the last one.
        positions, vectors, biases: value i = stream[positions[i]] · vectors[i] + biases[i].
    """

    depth: int
    positions: Int[Tensor, " n"]
    vectors: Float[Tensor, "n d_model"]
    biases: Float[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.positions)

    def at(self, part: slice | Int[Tensor, " some"]) -> Reading:
        """Some of the values."""
        return Reading(self.depth, self.positions[part], self.vectors[part], self.biases[part])


@dataclass(frozen=True, eq=False)
class Linear:
    """The local replacement model of one prompt: frozen, with units in place of the MLPs.

    Sources are numbered: the units of all groups, then the errors by layer and position, then the
    embeddings, token embeddings first.
    """

    frozen: Frozen
    explained: Explained

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """The first source of each group, and at the end the first error."""
        found = [0]
        for group in self.explained.groups:
            found.append(found[-1] + group.size)
        return tuple(found)

    @property
    def n_units(self) -> int:
        """How many sources are units."""
        return self.offsets[-1]

    @property
    def n_sources(self) -> int:
        """How many sources there are."""
        places = len(self.frozen.blocks) + len(self.frozen.embeds)
        return self.n_units + places * self.frozen.n_pos

    def group_of(self, source: int) -> tuple[int, Group]:
        """The number of the group a unit belongs to, and the group."""
        number = next(n for n, end in enumerate(self.offsets[1:]) if source < end)
        return number, self.explained.groups[number]

    def reading(self, number: int, chosen: Int[Tensor, " n"]) -> Reading:
        """The values of some units of one group as readings of the stream."""
        group = self.explained.groups[number]
        positions = group.positions(chosen)
        vectors, biases = group.reads(chosen)
        return self.read_mlp_in(group.layer, positions, vectors, biases)

    def read_mlp_in(
        self,
        layer: int,
        positions: Int[Tensor, " n"],
        vectors: Float[Tensor, "n d_model"],
        biases: Float[Tensor, " n"],
    ) -> Reading:
        """Directions of what an MLP reads, as a reading of the stream before its norm."""
        block = self.frozen.blocks[layer]
        depth = 2 * layer + (not block.parallel)
        norm = block.mlp_norm
        return Reading(
            depth, positions, norm.back(vectors, positions), biases + vectors @ norm.bias
        )

    def read_final(
        self,
        positions: Int[Tensor, " n"],
        vectors: Float[Tensor, "n d_model"],
        biases: Float[Tensor, " n"],
    ) -> Reading:
        """Directions of what the unembedding reads, as a reading of the last stream."""
        norm = self.frozen.final_norm
        vectors, biases = norm.back(vectors, positions), biases + vectors @ norm.bias
        return Reading(2 * len(self.frozen.blocks), positions, vectors, biases)

    def rows(
        self,
        reading: Reading,
        attention: Mapping[int, FrozenAttention] | None = None,
        at_attention: Callable[[int, Float[Tensor, "pos n d_model"]], None] | None = None,
    ) -> tuple[Float[Tensor, "sources n"], Float[Tensor, " n"]]:
        """What each source puts into each value, and what the constants put into it.

        With all of a model's attention, the two add up to the value.

        Args:
            attention: by layer, what stands for its attention; the model's own when None. A layer
                that is absent has none.
            at_attention: is shown the directions of what each layer's attention adds.
        """
        pos = int(reading.positions.max()) + 1
        few = Few.at(reading.vectors, reading.positions, pos)
        bias = reading.biases.clone()
        return self._carried(reading, few.written_out(), few, bias, attention, at_attention)

    def summed(self, reading: Reading) -> Float[Tensor, " sources"]:
        """What each source puts into the sum of some values, which is one direction of the whole
        stream: one row in work, however many values there are."""
        width = reading.vectors.shape[1]
        g = reading.vectors.new_zeros(int(reading.positions.max()) + 1, 1, width)
        g[:, 0].index_add_(0, reading.positions, reading.vectors)
        return self._carried(reading, g, None, reading.biases.sum()[None], None, None)[0][:, 0]

    def _carried(
        self,
        reading: Reading,
        g: Float[Tensor, "pos n d_model"],
        few: Few | None,
        bias: Float[Tensor, " n"],
        attention: Mapping[int, FrozenAttention] | None,
        at_attention: Callable[[int, Float[Tensor, "pos n d_model"]], None] | None,
    ) -> tuple[Float[Tensor, "sources n"], Float[Tensor, " n"]]:
        """`rows` of directions g at the depth of a reading.

        few: the same directions where each stands at one position. Through two layers of attention
            they are sums of few, which saves products.
        """
        blocks = self.frozen.blocks
        if attention is None:
            attention = {layer: block.attention for layer, block in enumerate(blocks)}
        pos, n, _ = g.shape
        # A row's sources lie side by side, where the largest of them are looked for.
        out = g.new_zeros(n, self.n_sources).T
        pending: dict[int, Tensor] = {}
        for layer in reversed(range((reading.depth + 1) // 2)):
            block = blocks[layer]
            before: Tensor | None = None
            if reading.depth >= 2 * layer + 2:
                self._collect(layer, g, out, bias)
                for skip in self._skips(layer):
                    single = few if few is not None and len(few) == 1 else None
                    carried = self._back_through(skip, g, bias, reading.positions, single)
                    pending[skip.reads] = pending.get(skip.reads, 0) + carried
                before = pending.pop(layer, None)
                if before is not None and not block.parallel:
                    g, few = self._and(g, few, before, reading.positions)
            if at_attention is not None:
                at_attention(layer, g)
            if layer in attention:
                held = attention[layer]
                bias += _read(g, held.constant[None, :pos])[0].sum(0)
                if few is not None and len(few) == 1:
                    told = held.back_from(few.vectors[:, 0], reading.positions, pos)
                    g, few = g + told.written_out(), few.joined(told)
                else:
                    mixed = held.to_mixed(g) if few is None or len(few) >= pos else few.mixed(held)
                    values, few = held.to_values(mixed), None
                    if layer:
                        g = g + held.to_stream(values)
                    else:
                        self._embeds_as_values(held, values, out)
            if before is not None and block.parallel:
                g, few = self._and(g, few, before, reading.positions)
        self._embeds(g, out)
        return out, bias

    def _and(
        self, g: Tensor, few: Few | None, more: Tensor, positions: Tensor
    ) -> tuple[Tensor, Few | None]:
        """Directions and what a skip path adds to them, which stands where they do."""
        g = g + more
        if few is None or len(few) > 1:
            return g, None
        own = torch.arange(len(positions), device=g.device)
        return g, Few.at(g[positions, own], positions, len(g))

    def _collect(self, layer: int, g: Tensor, out: Tensor, bias: Tensor) -> None:
        """What is written at one layer's MLP output."""
        pos = len(g)
        for number, write in self.explained.writes[layer]:
            write.effects(g, out[self.offsets[number] : self.offsets[number + 1]])
        first = self.n_units + layer * self.frozen.n_pos
        # One pass over the directions for both.
        writes = self.explained.errors[layer][:pos], self.explained.constants[layer][:pos]
        errors, constants = _read(g, torch.stack(writes))
        out[first : first + pos] += errors
        bias += constants.sum(0)

    def _embeds(self, g: Tensor, out: Tensor) -> None:
        pos = len(g)
        for number, embed in enumerate(self.frozen.embeds):
            first = self.n_units + (len(self.frozen.blocks) + number) * self.frozen.n_pos
            out[first : first + pos] += _read(g, embed[None, :pos])[0]

    def _embeds_as_values(
        self, attention: FrozenAttention, values: Float[Tensor, "pos n kv d_head"], out: Tensor
    ) -> None:
        """What embeddings put into directions of values: one product less than to the stream."""
        pos = len(values)
        for number, embed in enumerate(self.frozen.embeds):
            first = self.n_units + (len(self.frozen.blocks) + number) * self.frozen.n_pos
            made = embed[:pos] @ attention.values.flatten(1)
            out[first : first + pos] += _read(values.flatten(2), made[None])[0]

    def _skips(self, layer: int) -> list[Skip]:
        return [skip for skip in self.explained.skips if skip.writes == layer]

    def _back_through(
        self, skip: Skip, g: Tensor, bias: Tensor, positions: Tensor, single: Few | None
    ) -> Tensor:
        """A direction of what a skip path writes, as one of the stream its norm reads."""
        norm = self.frozen.blocks[skip.reads].mlp_norm
        every = torch.arange(len(g), device=g.device)
        if single is not None:
            vectors = single.vectors[:, 0] @ skip.weight
            bias += vectors @ norm.bias
            carried = torch.zeros_like(g)
            columns = torch.arange(len(vectors), device=g.device)
            carried[positions, columns] = norm.back(vectors, positions)
            return carried
        vectors = g @ skip.weight
        bias += torch.einsum("pnd,d->n", vectors, norm.bias)
        flat = norm.back(vectors.flatten(0, 1), every.repeat_interleave(g.shape[1]))
        return flat.view(g.shape)


def _read(
    g: Float[Tensor, "pos n d"], writes: Float[Tensor, "few pos d"]
) -> Float[Tensor, "few pos n"]:
    """What is written at each position, along directions there. In this order of the factors the
    product is several times as fast as in the other."""
    return (writes.transpose(0, 1) @ g.transpose(1, 2)).transpose(0, 1)
