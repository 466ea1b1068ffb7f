"""Feature nodes: the latents of a model's transcoders as parts of a behaviour, span by span.

A node is one latent of a layer's transcoder in one span of the prompts, or what that transcoder
misses there, its error (Marks et al. 2024, "Sparse Feature Circuits", where errors are nodes too).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Float
from torch import Tensor

from tomogram.circuits.discovery.spans import CHANGED, SPANS
from tomogram.circuits.graph.units import layers_of
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.store.errors import TomogramError


@dataclass(frozen=True, eq=False)
class FeatureNodes:
    """The nodes of some layers' transcoders, numbered by span, then layer, then latent.

    Behind the latents of a layer stands its error. The span `before` has no nodes.

    Args:
        transcoders: by layer, lowest first.
    """

    transcoders: tuple[tuple[int, Dictionary], ...]

    @classmethod
    def of(cls, model: Model, dictionaries: Sequence[Dictionary]) -> FeatureNodes:
        """The nodes of dictionaries.

        Raises:
            TomogramError: there is none, one is no transcoder of one layer of this model, or two
                are of the same layer.
        """
        found: dict[int, Dictionary] = {}
        for dictionary in dictionaries:
            reads, _ = layers_of(model, dictionary)
            if len(reads) != 1:
                raise TomogramError(
                    f"The dictionary {dictionary.name} writes to several layers; circuits over"
                    " features need transcoders that read and write one layer."
                )
            if reads[0] in found:
                raise TomogramError(f"Two dictionaries write mlp_out.{reads[0]}; give one.")
            found[reads[0]] = dictionary
        if not found:
            raise TomogramError("Circuits over features need at least one transcoder.")
        return cls(tuple(sorted(found.items())))

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Within a span, the first node of each layer, and at the end their number."""
        found = [0]
        for _, dictionary in self.transcoders:
            found.append(found[-1] + dictionary.d_dict + 1)
        return tuple(found)

    @property
    def a_span(self) -> int:
        """How many nodes a span has."""
        return self.offsets[-1]

    def __len__(self) -> int:
        return (len(SPANS) - CHANGED) * self.a_span

    def place(self, node: int) -> tuple[int, int, int]:
        """Span, number of the transcoder and latent of a node; the error is the last latent."""
        span, rest = divmod(node, self.a_span)
        number = next(n for n, end in enumerate(self.offsets[1:]) if rest < end)
        return span + CHANGED, number, rest - self.offsets[number]

    def name(self, node: int) -> str:
        """A node in a few words: `feature 2/17 at asked`."""
        span, number, latent = self.place(node)
        layer, dictionary = self.transcoders[number]
        what = (
            f"feature {layer}/{latent}" if latent < dictionary.d_dict else f"error of MLP {layer}"
        )
        return f"{what} at {SPANS[span]}"

    def sites(self) -> list[Site]:
        """What has to be captured for `coded`."""
        return [
            Site(kind, layer) for layer, _ in self.transcoders for kind in ("mlp_in", "mlp_out")
        ]


def coded(
    dictionary: Dictionary, read: Float[Tensor, "pair pos d"], written: Float[Tensor, "pair pos d"]
) -> tuple[Float[Tensor, "pair pos d_dict"], Float[Tensor, "pair pos d"]]:
    """What an MLP did as latents and an error: written = latents·W_dec + b_dec + skip + error."""
    x = read.flatten(0, 1).to(dictionary.W_enc.dtype)
    latents = dictionary.encode(x)
    error = written.flatten(0, 1) - dictionary.decode(latents) - dictionary.skip(x)
    return latents.dense().unflatten(0, read.shape[:2]), error.view(written.shape)
