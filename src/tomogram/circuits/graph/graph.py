"""Graph: the attribution graph of one prompt, as sparse rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array

from tomogram.circuits.graph.attention import Look, Route
from tomogram.circuits.graph.proof import Proof

KINDS = ("feature", "neuron", "error", "token", "position", "target")
FEATURE, NEURON, ERROR, TOKEN, POSITION, TARGET = range(len(KINDS))


@dataclass(frozen=True, eq=False)
class Nodes:
    """Nodes in the order of rows and columns: units by layer and position, errors, embeddings,
    targets.

    Args:
        kind: index into `KINDS`. layer: that they read or write; -1 for embeddings, the number of
            layers for targets. position: the token they stand at.
        unit: number of a feature or neuron; token id of a token and of a target (-1 for a target
            that is no token); 0 otherwise.
        value: activation of a unit, value of a target, 0 otherwise.
    """

    kind: Int[np.ndarray, " n"]
    layer: Int[np.ndarray, " n"]
    unit: Int[np.ndarray, " n"]
    position: Int[np.ndarray, " n"]
    value: Float[np.ndarray, " n"]

    def __post_init__(self) -> None:
        sizes = {len(each) for each in (self.kind, self.layer, self.unit, self.position)}
        if sizes != {len(self.value)}:
            raise ValueError("nodes need a kind, layer, unit, position and value each")

    def __len__(self) -> int:
        return len(self.kind)

    def of(self, *kinds: int) -> Bool[np.ndarray, " n"]:
        """Which nodes are of one of these kinds."""
        return np.isin(self.kind, kinds)


@dataclass(frozen=True, slots=True)
class Supernode:
    """Nodes that are shown as one: what it is called, and which they are."""

    label: str
    nodes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Graph:
    """What led to a target on one prompt, edge by edge.

    Row t of `edges` holds what each node s adds to the value of t directly, that is, along residual
    stream and attention but through no other node: A[t, s] of Ameisen et al. 2025. For a node with
    a row (units and targets), Σ_s A[t, s] + bias[t] + omitted[t] is its value.

    Args:
        edges: [n n], with only the edges that are kept.
        bias: what constants (biases of norms, attention, decoders and encoders) add.
        omitted: the sum of what is not kept, from nodes left out or edges too small;
            omitted_mass: the sum of its absolute values.
        weights, labels, probabilities: of the targets, which are the last nodes.
        spelled: how the prompt's tokens read.
        units: how many units are active on the prompt, kept or not.
        proof: what interventions measured of it, or None.
        routes: of some edges (source, target), the heads that carried them.
        looks: why some heads looked where they did.
        supernodes: nodes that are shown as one.
    """

    model: str
    digest: str
    prompt: str
    tokens: tuple[int, ...]
    spelled: tuple[str, ...]
    n_layers: int
    nodes: Nodes
    edges: csr_array
    bias: Float[np.ndarray, " n"]
    omitted: Float[np.ndarray, " n"]
    omitted_mass: Float[np.ndarray, " n"]
    weights: tuple[float, ...]
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    units: int
    proof: Proof | None = None
    routes: Mapping[tuple[int, int], tuple[Route, ...]] = field(default_factory=dict)
    looks: tuple[Look, ...] = ()
    supernodes: tuple[Supernode, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.nodes)
        if self.edges.shape != (n, n):
            raise ValueError(f"edges are {self.edges.shape}, not {(n, n)}")
        if any(len(each) != n for each in (self.bias, self.omitted, self.omitted_mass)):
            raise ValueError("every node needs a bias and what is omitted")
        targets = self.nodes.of(TARGET)
        if not len(self.weights) == len(self.labels) == len(self.probabilities) == targets.sum():
            raise ValueError("every target needs a weight, a label and a probability")
        if not targets[n - len(self.weights) :].all():
            raise ValueError("targets are the last nodes")
        named = [node for pair in self.routes for node in pair]
        named += [node for each in self.supernodes for node in each.nodes]
        named += [seen.node for each in self.looks for seen in each.seen]
        if named and not 0 <= min(named) <= max(named) < n:
            raise ValueError("routes, looks or supernodes name a node that is not there")
        if not np.isfinite(self.edges.data).all():
            raise ValueError("an edge is not a finite number")

    @property
    def n_edges(self) -> int:
        """How many edges are kept."""
        return int(self.edges.nnz)

    @property
    def targets(self) -> range:
        """The numbers of the target nodes."""
        return range(len(self.nodes) - len(self.weights), len(self.nodes))

    @property
    def has_row(self) -> Bool[np.ndarray, " n"]:
        """Which nodes have incoming edges: units and targets."""
        return self.nodes.of(FEATURE, NEURON, TARGET)

    @property
    def title(self) -> str:
        """What the graph is of, and whether it passed its check."""
        what = ", ".join(repr(label) for label in self.labels[:3])
        more = "" if len(self.labels) <= 3 else f" and {len(self.labels) - 3} more"
        head = f"Why {self.model} says {what}{more}"
        if self.proof is None:
            return f"{head} (not checked)"
        return head if self.proof.passed else f"{head}: FAILS ITS CHECK ({self.proof.fault})"

    def unaccounted(self) -> Float[np.ndarray, " n"]:
        """Of each node with a row, its value less everything that is said to make it; else 0."""
        made = np.asarray(self.edges.sum(1)).ravel() + self.bias + self.omitted
        return np.where(self.has_row, self.nodes.value - made, 0.0)

    def name(self, node: int) -> str:
        """A node in a few words: `feature 3/120 at 5 “Dallas”`."""
        kind, layer = KINDS[self.nodes.kind[node]], self.nodes.layer[node]
        position, unit = int(self.nodes.position[node]), self.nodes.unit[node]
        where = f"at {position} “{self.spelled[position].strip()}”"
        match kind:
            case "feature" | "neuron":
                return f"{kind} {layer}/{unit} {where}"
            case "error":
                return f"error of MLP {layer} {where}"
            case "token" | "position":
                return f"{kind} {where}"
        return f"target “{self.labels[node - self.targets.start].strip()}”"


def names(graph: Graph, path: Sequence[int]) -> str:
    """A path as a line of words."""
    return " → ".join(graph.name(node) for node in path)
