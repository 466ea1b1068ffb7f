"""Tracing: the graphs of circuit-tracer, how much faster, and in how much memory.

Random Llamas with ReLU transcoders of which some ten latents fire on a token; the same weights
are given to both. circuit-tracer 0.5.0 runs in the environment that
`python tests/dictionaries/peers/make.py circuit_tracer` makes (or `$TOMOGRAM_PEERS`); without it
only our own figures are printed. Times are processor seconds on one thread of drawing the graph
alone, ours and theirs in turn. circuit-tracer leaves out features and errors of the first position;
ours are drawn all the same and left out of the comparison of edges.

    python -m benchmarks.tracing --json
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.harness import Figure, main
from tomogram.circuits.graph.graph import ERROR, FEATURE, TARGET, TOKEN, Graph
from tomogram.circuits.graph.targets import Likely
from tomogram.circuits.graph.trace import Limits, trace
from tomogram.dictionaries.dictionary import Dictionary
from tomogram.dictionaries.formats import circuit_tracer
from tomogram.dictionaries.relu import ReLU
from tomogram.dictionaries.shape import transcoder
from tomogram.models.load import wrap
from tomogram.models.model import Model
from tomogram.models.sites import Site
from tomogram.reference import shipped

ROOT = Path(__file__).parents[1]
WORKER = ROOT / "tests" / "dictionaries" / "peers" / "graph_with_circuit_tracer.py"
STORIES = ROOT.parent / "shared" / "models" / "stories15M"
SIZES = {"6x512": (6, 512), "12x768": (12, 768)}
LENGTHS = (16, 64)
LATENTS, FIRING, VOCABULARY = 4_096, 10, 1_000
AIM = Likely(most=5, share=0.5)
GIB = 2**30


def peer() -> Path | None:
    """The interpreter of circuit-tracer's environment, where there is one."""
    root = Path(os.environ.get("TOMOGRAM_PEERS", ROOT / ".venv-peers"))
    python = root / "circuit_tracer" / "bin" / "python"
    return python if python.exists() else None


def random_model(layers: int, width: int, *, seed: int = 0) -> Model:
    """A random Llama whose attention attends and whose stream grows as a trained one's does."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        num_key_value_heads=width // 64,
        max_position_embeddings=256,
        pad_token_id=None,
        bos_token_id=1,
        eos_token_id=2,
    )
    module = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=parameter.shape[1] ** -0.5)
            elif "norm" in name:
                parameter.uniform_(0.5, 1.5)
    return wrap(module, name="random")


def random_transcoders(
    model: Model, tokens: torch.Tensor, latents: int, *, seed: int = 0
) -> list[Dictionary]:
    """ReLU transcoders whose bias lets `FIRING` latents fire at a token of this prompt."""
    generator = torch.Generator().manual_seed(seed)
    sites = [Site("mlp_in", layer) for layer in range(model.n_layers)]
    run = model.run(tokens[None], capture=sites, logits=False)
    made: list[Dictionary] = []
    for layer, site in enumerate(sites):
        dictionary = ReLU(transcoder(layer, model.d_model), latents)
        for weight in (dictionary.W_enc, dictionary.W_dec):
            noise = torch.randn(weight.shape, generator=generator)
            weight.data.copy_(noise / model.d_model**0.5)
        scores = (run[site][0] @ dictionary.W_enc.T).flatten().sort(descending=True).values
        count = FIRING * len(tokens)
        # Between two scores: neither tool's rounding decides what fires.
        gaps = scores[count - 20 : count + 20].diff()
        place = count - 20 + int(gaps.argmin())
        dictionary.b_enc.data.fill_(-float(scores[place : place + 2].mean()))
        dictionary.b_dec.data.zero_()
        made.append(dictionary.requires_grad_(False))
    return made


def largest_difference(graph: Graph, found: Mapping[str, torch.Tensor]) -> tuple[float, float]:
    """The largest difference of an edge as a share of its row's largest, and the share of rows
    where it is within 1e-5."""
    nodes = graph.nodes
    inner = nodes.of(FEATURE, ERROR)
    listed = np.stack([nodes.layer, nodes.position, nodes.unit], 1)
    mine = {tuple(row): n for n, row in enumerate(listed) if nodes.kind[n] == FEATURE}
    theirs = [mine[tuple(row)] for row in found["features"].tolist()]
    n = len(theirs)
    rest = [node for node in range(len(nodes)) if nodes.of(ERROR, TOKEN, TARGET)[node]]
    order = np.array([*theirs, *rest])
    edges = graph.edges[order][:, order].toarray()
    silent = inner[order] & (nodes.position[order] == 0)
    edges[:, silent] = 0
    expected = found["edges"].numpy()
    assert edges.shape == expected.shape, (edges.shape, expected.shape)
    rows = np.concatenate([np.arange(n), np.arange(len(order) - len(graph.weights), len(order))])
    largest = np.abs(expected).max(1)
    apart = np.abs(edges - expected).max(1)[rows] / np.maximum(largest[rows], 1e-30)
    return float(apart.max()), float((apart <= 1e-5).mean())


def beside(python: Path, size: str, length: int, latents: int) -> dict[str, Figure]:
    """One model and prompt, drawn by both."""
    model = random_model(*SIZES[size])
    generator = torch.Generator().manual_seed(1)
    tokens = torch.cat([torch.tensor([1]), torch.randint(3, VOCABULARY, (length - 1,),
                                                         generator=generator)])  # fmt: skip
    ours = random_transcoders(model, tokens, latents)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        circuit_tracer.save(ours, folder / "ours", model="random")
        config = model.module.config
        sizes = config.to_dict()
        sizes["rope_theta"] = config.rope_parameters["rope_theta"]
        (folder / "config.json").write_text(json.dumps(sizes))
        save_file(dict(model.module.state_dict()), folder / "weights.safetensors")
        save_file({"tokens": tokens}, folder / "tokens.safetensors")
        subprocess.run(
            [str(python), str(WORKER), name], check=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        found = load_file(folder / "graph.safetensors")
    limits = Limits(nodes=100_000, memory=4 * GIB)
    start = time.process_time()
    graph = trace(model, tokens.tolist(), AIM, ours, limits=limits).graph
    seconds = time.process_time() - start
    apart, within = largest_difference(graph, found)
    theirs = float(found["seconds"])
    case = f"{size}, {length} tokens"
    print(f"{case}: {graph.units} features, ours {seconds:.1f} s, theirs {theirs:.1f} s",
          file=sys.stderr)  # fmt: skip
    return {
        f"{case}: times faster": Figure(theirs / seconds, target=5.0),
        f"{case}: our processor seconds": Figure(seconds),
        f"{case}: largest difference of an edge, share of its row": Figure(
            apart, target=1e-5, at_least=False
        ),
        f"{case}: rows within 1e-5": Figure(within, target=1.0),
    }


_ALONE = """
import json, sys, torch
torch.set_num_threads(1)
from benchmarks.harness import own_memory
from tomogram.circuits.graph.attended import attended
from tomogram.circuits.graph.checks import check
from tomogram.circuits.graph.grouped import grouped
from tomogram.circuits.graph.scores import prune
from tomogram.circuits.graph.supernodes import propose
from tomogram.circuits.graph.trace import Limits, trace
from tomogram.models.load import load
folder, length, nodes, how = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
model = load(folder)
tokens = torch.randint(3, model.d_vocab, (length,), generator=torch.Generator().manual_seed(0))
own, limits = None, Limits(nodes=nodes)
if how == "features":
    from benchmarks.tracing import GIB, random_transcoders
    own, limits = random_transcoders(model, tokens, 1_024), Limits(nodes=nodes, memory=4 * GIB)
traced = trace(model, tokens.tolist(), None, own, limits=limits)
found = {"edges": traced.graph.n_edges, "drawn": own_memory()}
if how == "checked":
    # What `pipeline.tracing.trace` does.
    pruned = prune(traced.graph)
    traced = attended(check(traced), pruned)
    grouped(traced, propose(traced.graph, pruned), pruned)
    found["checked"] = own_memory()
print(json.dumps(found))
"""


def alone(folder: Path, length: int, nodes: int, how: str) -> dict[str, int]:
    """Edges and peak memory of one graph in a process of its own.

    Args:
        how: "checked": over neurons, drawn alone and then with its check and what its heads did, as
            `tomogram trace` does it; "features": over random transcoders, drawn alone.
    """
    done = subprocess.run(
        [sys.executable, "-c", _ALONE, str(folder), str(length), str(nodes), how],
        check=True, capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found


def memory(quick: bool) -> dict[str, Figure]:
    """Peak memory of long prompts, and how it grows with the edges that are kept."""
    figures = {}
    for name, folder, length in (
        ("reference, 1,000 tokens", shipped.path(), 1_000),
        ("stories15M, its context", STORIES, 256),
    ):
        if not folder.exists():
            continue
        length = 32 if quick else length
        found = alone(folder, length, 500 if quick else 2_000, "checked")
        for what, words in (("drawn", "peak GiB"), ("checked", "peak GiB with its check")):
            figures[f"{name}: {words}"] = Figure(found[what] / GIB, target=4.0, at_least=False)
    # Over features nearly all units have a row, so that what is kept is what was computed.
    steps = (100, 200) if quick else (1_250, 2_500, 5_000, 10_000)
    runs = [alone(shipped.path(), 32 if quick else 256, nodes, "features") for nodes in steps]
    edges, peaks = (np.array([float(run[name]) for run in runs]) for name in ("edges", "drawn"))
    slope, base = np.polyfit(edges, peaks, 1)
    spread = ((peaks - peaks.mean()) ** 2).sum()
    straight = 1 - ((peaks - base - slope * edges) ** 2).sum() / spread if spread else 1.0
    figures["peak memory against kept edges: bytes per edge"] = Figure(float(slope))
    figures["peak memory against kept edges: R² of a line"] = Figure(float(straight), target=0.95)
    return figures


def measure(quick: bool) -> dict[str, Figure]:
    """All figures."""
    torch.set_num_threads(1)
    figures: dict[str, Figure] = {}
    python = peer()
    if python is None:
        print("circuit-tracer has no environment; tests/dictionaries/peers/make.py makes it",
              file=sys.stderr)  # fmt: skip
    else:
        cases = [("6x512", 16)] if quick else [(s, n) for s in SIZES for n in LENGTHS]
        for size, length in cases:
            figures |= beside(python, size, length, 256 if quick else LATENTS)
    figures |= memory(quick)
    return figures


if __name__ == "__main__":
    main("tracing", measure)
