"""Scaling: what training across processes holds and sends, as planned and as measured.

The plan is worked out by `dictionaries.parallel.budget`, which cuts its dictionary with the code
that training cuts with. Two processes on the loopback interface then train a small dictionary,
by tokens and by latents, and count the bytes of their tensors and those that left their sockets.

    python -m benchmarks.scaling [--json] [--quick]
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.harness import Figure, main, own_memory, ratio
from tomogram.dictionaries import normalisation
from tomogram.dictionaries.across import ALONE
from tomogram.dictionaries.parallel.budget import Machine, Plan, held, seconds, sent
from tomogram.dictionaries.parallel.join import joined
from tomogram.dictionaries.parallel.layout import take_share
from tomogram.dictionaries.parallel.ranks import Ranks
from tomogram.dictionaries.parallel.spread import Spread
from tomogram.dictionaries.shape import autoencoder
from tomogram.dictionaries.topk import TopK
from tomogram.dictionaries.trainee import Trainee
from tomogram.models.sites import Site

SITE = Site("resid_post", 15)

LARGE = Plan(
    autoencoder(SITE, 4_096),
    latents=2**24,
    k=64,
    parts=1,
    shards=64,
    batch_tokens=16_384,
    buffer_tokens=2**19,
    activation_bytes=2,
)
"""One site of a model of 7 billion parameters (width 4,096), 16.8 million latents, 64 GPUs."""

GPU = Machine(operations=4e14, memory_rate=3.35e12, link_rate=5e10, memory=8e10)
"""An H100 SXM: 989 TFLOP/s of dense bfloat16 by its data sheet, of which 400 are reckoned with;
80 GB at 3.35 TB/s; a 400 Gbit/s link a GPU between machines."""

SMALL = Plan(
    autoencoder(Site("resid_post", 0), 256),
    latents=4_096,
    k=16,
    parts=1,
    shards=2,
    batch_tokens=1_024,
    buffer_tokens=2_048,
)
"""What the two processes train."""

FLOOR = Plan(
    autoencoder(Site("resid_post", 0), 512),
    latents=8_192,
    k=32,
    parts=1,
    shards=1,
    batch_tokens=4_096,
    buffer_tokens=8_192,
)
"""The training whose peak memory is measured."""

# glibc gives blocks from 1 MB on back to the system as soon as they are free, so that what is
# measured is what the training holds and not the gaps between its blocks (mallopt(3)).
_GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": str(2**20)}

# The floor of peak memory counts one chunk of scores before anything is made sparse.
_CHUNK_BYTES = 4 * 4 * 2**20


def measure(quick: bool) -> dict[str, Figure]:
    """The figures of the plan, of the two processes, and of the peak memory of one."""
    steps, runs = (2, 1) if quick else (12, 7)
    figures = {
        "peak_memory_over_floor": memory(steps, runs, {}),
        "peak_memory_over_floor_two_threads": memory(steps, runs, {"OMP_NUM_THREADS": "2"}),
        "peak_live_memory_over_floor": memory(steps, runs, _GIVE_BACK),
    }
    for name, plan in (("latents", SMALL), ("tokens", replace(SMALL, parts=2, shards=1))):
        found = run_two(plan, steps)
        planned = sum(sent(plan).values())
        figures[f"{name}_sent_over_plan"] = Figure(found["socket"] / planned)
        figures[f"{name}_sent_error"] = Figure(
            abs(found["socket"] / planned - 1), target=0.02, at_least=False
        )
        figures[f"{name}_counted_error"] = Figure(
            abs(found["counted"] / planned - 1), target=1e-6, at_least=False
        )
        parts = ("weights", "gradients", "optimiser", "silence")
        expected = sum(held(plan)[part] for part in parts)
        figures[f"{name}_held_error"] = Figure(
            abs(found["held"] / expected - 1), target=1e-6, at_least=False
        )
    return figures | planned_figures()


def planned_figures() -> dict[str, Figure]:
    """What the plan for a model of 7 billion parameters comes to."""
    total = sum(held(LARGE).values())
    times = seconds(LARGE, GPU)
    rate = LARGE.batch_tokens / max(times.values())
    figures = {
        "plan_gigabytes_held": Figure(total / 1e9, target=GPU.memory / 1e9, at_least=False),
        "plan_megabytes_sent_per_step": Figure(sum(sent(LARGE).values()) / 1e6),
        "plan_tokens_per_second_bound": Figure(rate),
    }
    figures |= {f"plan_held_{name}_gigabytes": Figure(n / 1e9) for name, n in held(LARGE).items()}
    figures |= {f"plan_sent_{name}_megabytes": Figure(n / 1e6) for name, n in sent(LARGE).items()}
    return figures | {f"plan_{name}_seconds": Figure(value) for name, value in times.items()}


def memory(steps: int, runs: int, environment: Mapping[str, str]) -> Figure:
    """Peak memory of a training of one process above that after import, over its floor: weights,
    gradients, optimiser state, two batches and one chunk of scores. The median of some runs, since
    where the gaps between blocks fall is chance.

    environment: sets the threads and glibc's allocator.
    """
    peaks = [_launch("memory", 1, str(steps), **environment)[0]["peak"] for _ in range(runs)]
    batch = 4 * FLOOR.batch_tokens * FLOOR.shape.d_in
    floor = 4 * held(FLOOR)["weights"] + 2 * batch + _CHUNK_BYTES
    return replace(ratio(peaks, [floor] * runs, 1.3), at_least=False)


def run_two(plan: Plan, steps: int) -> dict[str, float]:
    """The mean over two processes of what one sent in a step and holds."""
    found = _launch("train", 2, str(plan.shards), str(steps))
    return {name: sum(one[name] for one in found) / 2 for name in found[0]}


def _launch(job: str, size: int, *arguments: str, **extra: str) -> list[dict[str, float]]:
    """What some processes of this module print, with some more in their environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank in range(size):
        environment = os.environ | {
            "RANK": str(rank),
            "WORLD_SIZE": str(size),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "OMP_NUM_THREADS": "1",
            **extra,
        }
        command = [sys.executable, "-m", "benchmarks.scaling", "--job", job, *arguments]
        processes.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        )
    found = []
    for process in processes:
        printed, _ = process.communicate(timeout=600)
        if process.returncode:
            raise RuntimeError(f"{job} failed")
        found.append(json.loads(printed.splitlines()[-1]))
    return found


def _train(shards: str, steps: str) -> dict[str, float]:
    """One of two processes: bytes counted, bytes that left its sockets, bytes of its tensors."""
    with joined("cpu") as ranks:
        trainee = _trainee(SMALL, int(shards), ranks)
        across = trainee.dictionary.across
        for number in range(2):  # the first step makes the optimiser's state
            _step(trainee, SMALL.batch_tokens // across.parts, number)
        counted, left = sum(ranks.sent.values()), bytes_left()
        for number in range(int(steps)):
            _step(trainee, SMALL.batch_tokens // across.parts, number)
        counts, leaves = sum(ranks.sent.values()), bytes_left()
        ranks.sum_(torch.ones(1))  # nobody leaves, and closes sockets, before all have looked
        share = trainee.dictionary
        state = [slot for p in share.parameters() for slot in trainee.optimizer.state[p].values()]
        tensors = [
            *share.parameters(),
            *(p.grad for p in share.parameters() if p.grad is not None),
            *(slot for slot in state if slot.ndim),
            trainee.silent,
        ]
        return {
            "counted": (counts - counted) / int(steps),
            "socket": (leaves - left) / int(steps),
            "held": float(sum(tensor.nbytes for tensor in tensors)),
        }


def _trainee(plan: Plan, shards: int, ranks: Ranks | None) -> Trainee:
    with torch.device("meta"):
        dictionary = TopK(plan.shape, plan.latents, k=plan.k)
    take_share(dictionary, ALONE if ranks is None else Spread.over(ranks, shards), "cpu")
    x = torch.randn(1_024, plan.shape.d_in, generator=torch.Generator().manual_seed(0))
    norm = normalisation.measure(x)
    trainee = Trainee(dictionary, norm, norm)
    trainee.start(x, x, torch.Generator().manual_seed(0))
    return trainee


def _step(trainee: Trainee, tokens: int, number: int) -> None:
    generator = torch.Generator().manual_seed(number)
    x = torch.randn(tokens, trainee.dictionary.d_in, generator=generator)
    trainee.learn(x, x, rate=1e-3, dead_after=10**9)


def _memory(steps: str) -> dict[str, float]:
    """One process: how far peak memory rose above that after import."""
    # Another's first use of libraries is no matter of the dictionary's size.
    tiny = replace(FLOOR, shape=autoencoder(SITE, 32), latents=64, k=4)
    _step(_trainee(tiny, 1, None), 32, 0)
    before = own_memory("VmRSS")
    trainee = _trainee(FLOOR, 1, None)
    for number in range(int(steps)):
        _step(trainee, FLOOR.batch_tokens, number)
    return {"peak": float(own_memory() - before)}


def bytes_left() -> int:
    """Bytes that TCP has sent for this process over the sockets that are open now (Linux).

    They are the field tcpi_bytes_sent of struct tcp_info, at byte 200 (linux/tcp.h).
    """
    total = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if not str(entry.readlink()).startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(entry.name))) as one:
                if one.family in (socket.AF_INET, socket.AF_INET6):
                    info = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
                    total += int.from_bytes(info[200:208], "little")
        except OSError:
            continue
    return total


if __name__ == "__main__":
    if sys.argv[1:2] == ["--job"]:
        jobs: dict[str, Callable[..., dict[str, float]]] = {"train": _train, "memory": _memory}
        print(json.dumps(jobs[sys.argv[2]](*sys.argv[3:])))
    else:
        main("scaling", measure)
