"""The edge graph: names, order and what may read what."""

from __future__ import annotations

import pytest

from tomogram.circuits.discovery.edges import EdgeGraph, edge_graph
from tomogram.models.model import Model
from tomogram.store.errors import TomogramError


def test_all_edges_of_a_small_graph_by_hand() -> None:
    graph = EdgeGraph(heads=1, kv_heads=1, parallel=(False, True))
    assert graph.writers == ("input", "a0.h0", "m0", "a1.h0", "m1")
    assert graph.readers == (
        *("a0.h0<q>", "a0.h0<k>", "a0.h0<v>", "m0"),
        *("a1.h0<q>", "a1.h0<k>", "a1.h0<v>", "m1", "logits"),
    )
    names = {graph.name(u, v) for u, v in zip(*graph.possible.nonzero(), strict=True)}
    first = {"input->a0.h0<q>", "input->a0.h0<k>", "input->a0.h0<v>", "input->m0", "a0.h0->m0"}
    later = {f"{u}->{v}" for u in ("input", "a0.h0", "m0") for v in graph.readers[4:7]}
    # The second MLP is parallel to its attention and does not see it.
    last = {f"{u}->m1" for u in ("input", "a0.h0", "m0")}
    assert names == first | later | last | {f"{u}->logits" for u in graph.writers}


def test_names_lead_back_to_places() -> None:
    graph = EdgeGraph(heads=4, kv_heads=2, parallel=(False,) * 3)
    for u, v in zip(*graph.possible.nonzero(), strict=True):
        assert graph.place(graph.name(u, v)) == (u, v)


@pytest.mark.parametrize("name", ["m1->a0.h0<q>", "a0.h9->m0", "m0", "", "a1.h0->a1.h0<q>"])
def test_edges_that_cannot_be_are_refused(name: str) -> None:
    graph = EdgeGraph(heads=2, kv_heads=1, parallel=(False, False))
    with pytest.raises(TomogramError, match="no edge"):
        graph.mask([name])


def test_a_shared_value_belongs_to_all_heads_that_read_it() -> None:
    graph = EdgeGraph(heads=4, kv_heads=2, parallel=(False,))
    reader = graph.readers.index("a0.h1<v>")
    assert [graph.writers[w] for w in graph.heads_reading(reader)] == ["a0.h2", "a0.h3"]
    query = graph.readers.index("a0.h3<q>")
    assert [graph.writers[w] for w in graph.heads_reading(query)] == ["a0.h3"]


def test_shared_heads_are_counted_once(llama: Model) -> None:
    graph = edge_graph(llama)
    assert (graph.heads, graph.kv_heads, graph.n_layers) == (4, 2, 3)
