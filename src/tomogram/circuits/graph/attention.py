"""Attention: what a graph says of heads. Through which an edge ran, and why they looked there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Route:
    """The part of an edge that ran through one head.

    Args:
        amount: how much of the edge's weight, over all positions.
        query, key: the place of its largest part: the head looked from `query` at `key`.
    """

    layer: int
    head: int
    query: int
    key: int
    amount: float


@dataclass(frozen=True, slots=True)
class Pair:
    """A node seen by the query, a node seen by the key, and what both together add."""

    query_node: int
    key_node: int
    amount: float


@dataclass(frozen=True, slots=True)
class Seen:
    """A node, and how it moves the score: predicted and measured by taking away what it writes.

    Args:
        query, key: what it adds, seen by the query, and seen by the key.
        predicted: what it adds as both together. frozen, direct: the same measured, as in a
            graph's check.
    """

    node: int
    query: float
    key: float
    predicted: float
    frozen: float
    direct: float


@dataclass(frozen=True, slots=True)
class Look:
    """Why a head looked from one position at another.

    Args:
        layer, head, query, key: which head, from where, and where to.
        pattern: the attention weight.
        value: its score above the mean of the others, those counting by their attention weight.
        seen: the nodes that move it most. pairs: the pairs of them that do.
        rest_of_query, rest_of_key: what other nodes and constants add, seen by either.
    """

    layer: int
    head: int
    query: int
    key: int
    pattern: float
    value: float
    seen: tuple[Seen, ...]
    pairs: tuple[Pair, ...]
    rest_of_query: float
    rest_of_key: float
