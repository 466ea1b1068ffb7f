"""Units: the active features and neurons of a prompt, how they read the stream and write to it.

A group holds the units that read one layer, by position and then by their own number, so the units
of one position are a range. The nodes of a graph that have no unit (errors, embeddings) only write.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tomogram.circuits.graph.frozen import Frozen, down_projection
from tomogram.circuits.graph.neurons import NeuronReads, neuron_reads
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.gated import Gated
from tomogram.dictionaries.layered import Layered
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError

_TOLERANCE = 1e-3


class Group(Protocol):
    """Units that read the MLP's input of one layer."""

    @property
    def layer(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def size(self) -> int: ...
    def positions(self, chosen: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
        """At which token each unit stands."""
        ...

    def numbers(self, chosen: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
        """Its number in its dictionary or MLP."""
        ...

    def values(self, chosen: Int[Tensor, " n"]) -> Float[Tensor, " n"]: ...
    def reads(
        self, chosen: Int[Tensor, " n"]
    ) -> tuple[Float[Tensor, "n d_model"], Float[Tensor, " n"]]:
        """value = x·vector + bias, with x what the MLP reads at the unit's position."""
        ...


class Write(Protocol):
    """What the units of one group add to the stream at one layer's MLP output."""

    def effects(self, g: Float[Tensor, "pos n d_model"], out: Float[Tensor, "size n"]) -> None:
        """Add to `out` (a row a unit of the group) what each unit adds along each direction."""
        ...

    def vectors(self, chosen: Int[Tensor, " m"]) -> Float[Tensor, "m d_model"]:
        """What each unit adds."""
        ...

    def total(self) -> Float[Tensor, "pos d_model"]:
        """What all of them add together."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """The firing latents of a dictionary that read one layer, by position.

    Args:
        starts: [pos + 1]; the units of position p are those from starts[p] to starts[p + 1].
        at, unit, value: position, number in the dictionary's layer, and activation.
        weight, bias: the latents' readers, one a unit.
    """

    layer: int
    starts: tuple[int, ...]
    at: Int[Tensor, " size"]
    unit: Int[Tensor, " size"]
    value: Float[Tensor, " size"]
    weight: Float[Tensor, "size d_model"]
    bias: Float[Tensor, " size"]
    kind: str = "feature"

    @property
    def size(self) -> int:
        """How many units there are."""
        return len(self.at)

    def positions(self, chosen: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
        """At which token each unit stands."""
        return self.at[chosen]

    def numbers(self, chosen: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
        """Its number among the latents that read this layer."""
        return self.unit[chosen]

    def values(self, chosen: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Its activation."""
        return self.value[chosen]

    def reads(
        self, chosen: Int[Tensor, " n"]
    ) -> tuple[Float[Tensor, "n d_model"], Float[Tensor, " n"]]:
        """Encoder rows and biases: while it fires, a latent's activation is its score."""
        return self.weight[chosen], self.bias[chosen]


@dataclass(frozen=True, slots=True, eq=False)
class FeatureWrites:
    """What features add at one layer: a vector each, activation times decoder row."""

    starts: tuple[int, ...]
    vector: Float[Tensor, "size d_model"]

    def effects(self, g: Float[Tensor, "pos n d_model"], out: Float[Tensor, "size n"]) -> None:
        """See `Write`."""
        for position in range(len(g)):
            here = slice(self.starts[position], self.starts[position + 1])
            out[here].addmm_(self.vector[here], g[position].T)

    def vectors(self, chosen: Int[Tensor, " m"]) -> Float[Tensor, "m d_model"]:
        """See `Write`."""
        return self.vector[chosen]

    def total(self) -> Float[Tensor, "pos d_model"]:
        """See `Write`."""
        pairs = itertools.pairwise(self.starts)
        return torch.stack([self.vector[start:end].sum(0) for start, end in pairs])


@dataclass(frozen=True, slots=True, eq=False)
class Neurons:
    """All neurons of one MLP at all positions, position by position."""

    layer: int
    value: Float[Tensor, "pos d_mlp"]
    read: NeuronReads
    kind: str = "neuron"

    @property
    def size(self) -> int:
        """How many units there are."""
        return self.value.numel()

    def positions(self, chosen: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
        """At which token each unit stands."""
        return chosen // self.value.shape[1]

    def numbers(self, chosen: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
        """Its number in the MLP."""
        return chosen % self.value.shape[1]

    def values(self, chosen: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Its activation."""
        return self.value.flatten()[chosen]

    def reads(
        self, chosen: Int[Tensor, " n"]
    ) -> tuple[Float[Tensor, "n d_model"], Float[Tensor, " n"]]:
        """By the frozen ratio of `neurons`."""
        return self.read.vectors(self.positions(chosen), self.numbers(chosen))


@dataclass(frozen=True, slots=True, eq=False)
class NeuronWrites:
    """What neurons add: value · row of the down projection, through a norm where one follows."""

    weight: Float[Tensor, "d_mlp d_model"]
    value: Float[Tensor, "pos d_mlp"]

    def effects(self, g: Float[Tensor, "pos n d_model"], out: Float[Tensor, "size n"]) -> None:
        """See `Write`."""
        pos, width = len(g), self.value.shape[1]
        along = g.transpose(0, 1) @ self.weight.T
        mine = out.T[:, : pos * width].unflatten(1, (pos, width))
        mine.addcmul_(along, self.value[:pos])

    def vectors(self, chosen: Int[Tensor, " m"]) -> Float[Tensor, "m d_model"]:
        """See `Write`."""
        width = self.value.shape[1]
        return self.weight[chosen % width] * self.value.flatten()[chosen, None]

    def total(self) -> Float[Tensor, "pos d_model"]:
        """See `Write`."""
        return self.value @ self.weight


@dataclass(frozen=True, slots=True, eq=False)
class Skip:
    """The skip path of a transcoder from what one layer's MLP reads to what one adds."""

    reads: int
    writes: int
    weight: Float[Tensor, "d_out d_in"]


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """What stands in the MLPs' place.

    Args:
        groups: units by the layer they read, lowest first.
        writes: of each layer, (number of the group, what it adds there).
        skips: skip paths. constants: of each layer, what is added whatever the stream holds.
        errors: of each layer, what the MLP adds and nothing here explains.
    """

    groups: tuple[Group, ...]
    writes: tuple[tuple[tuple[int, Write], ...], ...]
    skips: tuple[Skip, ...]
    constants: tuple[Float[Tensor, "pos d_model"], ...]
    errors: tuple[Float[Tensor, "pos d_model"], ...]


@torch.no_grad()
def explain(model: Model, frozen: Frozen, dictionaries: Sequence[Dictionary]) -> Explained:
    """Features where a dictionary writes an MLP's output, neurons elsewhere.

    An MLP that has neither (a mixture of experts) is all error.

    Raises:
        TomogramError: a dictionary is no transcoder of this model, two write one place, or one's
            latents are no linear map of what it reads.
    """
    groups: list[Group] = []
    writes: list[list[tuple[int, Write]]] = [[] for _ in frozen.blocks]
    constants = [torch.zeros_like(block.mlp_out) for block in frozen.blocks]
    skips: list[Skip] = []
    taken: set[int] = set()
    for dictionary in dictionaries:
        reads, written = layers_of(model, dictionary)
        for layer in written:
            if layer in taken:
                raise TomogramError(
                    f"Two dictionaries write mlp_out.{layer}; a graph needs one for each layer."
                )
            taken.add(layer)
        _add_features(frozen, dictionary, reads, written, groups, writes)
        for number, layer in enumerate(written):
            constants[layer] += _part(dictionary.b_dec, number, model.d_model).to(frozen.like)
        skips += _skips(frozen, dictionary, reads, written)
    for layer, block in enumerate(frozen.blocks):
        if layer in taken or block.neurons is None or block.mlp_post_norm is None:
            continue
        wired = model.wiring.blocks[layer]
        read = neuron_reads(model, wired, block.mlp_in, block.neurons)
        if read is None:
            continue
        weight, bias = down_projection(wired, block.neurons)
        post = block.mlp_post_norm
        writes[layer].append(
            (len(groups), NeuronWrites(post.after(weight), block.neurons * post.scale[:, None]))
        )
        groups.append(Neurons(layer, block.neurons, read))
        constants[layer] += post.apply(bias.expand_as(block.mlp_out))
    # Groups in the order of layers, whatever made them.
    order = sorted(range(len(groups)), key=lambda number: groups[number].layer)
    place = {old: new for new, old in enumerate(order)}
    explained = Explained(
        groups=tuple(groups[number] for number in order),
        writes=tuple(tuple((place[n], w) for n, w in layer) for layer in writes),
        skips=tuple(skips),
        constants=tuple(constants),
        errors=(),
    )
    errors = _errors(frozen, explained)
    return Explained(
        explained.groups, explained.writes, explained.skips, explained.constants, errors
    )


def layers_of(model: Model, dictionary: Dictionary) -> tuple[list[int], list[int]]:
    """The layers a transcoder reads and writes.

    Raises:
        TomogramError: it is no transcoder, or belongs to another model.
    """
    shape = dictionary.shape
    sites: list[Site] = [*shape.reads, *shape.writes]
    for site in sites:
        if site not in model.sites:
            raise TomogramError(
                f"The dictionary {dictionary.name} belongs to another model:"
                f" {model.name} has no site {site}."
            )
    reads = [site.layer for site in shape.reads if site.kind == "mlp_in"]
    writes = [site.layer for site in shape.writes if site.kind == "mlp_out"]
    layered = isinstance(dictionary, Layered) and reads == writes
    if len(reads) + len(writes) != len(sites) or not (
        layered or (len(reads) == len(writes) == 1 and reads == writes)
    ):
        raise TomogramError(
            f"The dictionary {dictionary.name} is no transcoder: a graph needs dictionaries that"
            " read mlp_in and write mlp_out, of one layer or across layers."
        )
    for what, width, count in (
        ("reads", dictionary.d_in, len(reads)),
        ("writes", dictionary.d_out, len(writes)),
    ):
        if width != count * model.d_model:
            raise TomogramError(
                f"The dictionary {dictionary.name} {what} {width // count} numbers a layer, but"
                f" {model.name} has {model.d_model}: it belongs to another model."
            )
    return [layer for layer in reads if layer is not None], [
        layer for layer in writes if layer is not None
    ]


def _add_features(
    frozen: Frozen,
    dictionary: Dictionary,
    reads: list[int],
    written: list[int],
    groups: list[Group],
    writes: list[list[tuple[int, Write]]],
) -> None:
    like = frozen.like
    x = torch.cat([frozen.blocks[layer].mlp_in for layer in reads], 1)
    latents = dictionary.encode(x.to(dictionary.W_enc.dtype))
    token, slot = latents.firing.nonzero(as_tuple=True)
    index, value = latents.indices[token, slot], latents.values[token, slot].to(like)
    block = dictionary.d_dict // len(reads)
    weight, bias = _readers(dictionary, index)
    for number, layer in enumerate(reads):
        mine = (index // block == number).nonzero()[:, 0]
        # By position, then by number.
        mine = mine[torch.argsort(token[mine] * dictionary.d_dict + index[mine])]
        at = token[mine]
        counts = torch.bincount(at, minlength=frozen.n_pos).cumsum(0)
        starts = (0, *counts.tolist())
        features = Features(
            layer=layer,
            starts=starts,
            at=at,
            unit=index[mine] - number * block,
            value=value[mine],
            weight=weight[mine].to(like),
            bias=bias[mine].to(like),
        )
        _check(dictionary, features, frozen.blocks[layer].mlp_in)
        for out, target in enumerate(written):
            if target < layer:
                continue
            rows = _part(dictionary.W_dec[index[mine]], out, like.shape[1]).to(like)
            writes[target].append(
                (len(groups), FeatureWrites(starts, rows * features.value[:, None]))
            )
        groups.append(features)


def _readers(dictionary: Dictionary, index: Tensor) -> tuple[Tensor, Tensor]:
    """The linear map that a latent's value is while it fires."""
    if isinstance(dictionary, Gated):
        size = dictionary.r_mag[index].exp()
        return dictionary.W_enc[index] * size[:, None], dictionary.b_mag[index]
    return dictionary.W_enc[index], dictionary.b_enc[index]


def _check(dictionary: Dictionary, features: Features, x: Tensor) -> None:
    linear = (features.weight * x[features.at]).sum(1) + features.bias
    size = features.value.norm().clamp_min(torch.finfo(x.dtype).tiny)
    if not (linear - features.value).norm() <= _TOLERANCE * size:
        raise TomogramError(
            f"The latents of {dictionary.name} (kind '{dictionary.kind}') are no linear map of"
            " what it reads while they fire, so no exact graph can be drawn."
        )


def _skips(
    frozen: Frozen, dictionary: Dictionary, reads: list[int], written: list[int]
) -> list[Skip]:
    if dictionary.W_skip is None:
        return []
    width = frozen.like.shape[1]
    found = []
    for out, target in enumerate(written):
        for number, source in enumerate(reads):
            rows = dictionary.W_skip[out * width : (out + 1) * width]
            weight = _part(rows, number, width).to(frozen.like)
            if not weight.any():
                continue
            if source > target:
                raise TomogramError(f"The skip path of {dictionary.name} leads back a layer.")
            found.append(Skip(source, target, weight))
    return found


def _errors(frozen: Frozen, explained: Explained) -> tuple[Tensor, ...]:
    """What each MLP adds beyond what its units, skip paths and constants add."""
    errors = []
    for layer, block in enumerate(frozen.blocks):
        rest = block.mlp_out - explained.constants[layer]
        for _, write in explained.writes[layer]:
            rest = rest - write.total()
        for skip in explained.skips:
            if skip.writes == layer:
                rest = rest - frozen.blocks[skip.reads].mlp_in @ skip.weight.T
        errors.append(rest)
    return tuple(errors)


def _part(x: Tensor, number: int, width: int) -> Tensor:
    return x[..., number * width : (number + 1) * width]
