"""What this machine can do for a scan: measured, not guessed from its name."""

from __future__ import annotations

import os
import platform
import shutil
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import psutil
import torch

import tomogram

GIB = 1 << 30
# Packages a scan can do without, and what they add.
OPTIONAL = {"datasets": "streamed texts from the Hub"}
# What a scan of the reference model is built to fit into.
MEMORY_NEEDED = 4 * GIB
DISK_NEEDED = GIB
# Seconds that each measurement of speed may take, and the side of the square matrices.
_MEASURE_SECONDS = 0.3
_SIDE = 1024
# GFLOP/s of the fastest matrix product -> what a standard scan of 15 million parameters takes.
_DURATIONS = (
    (5000.0, "a few minutes"),
    (150.0, "about a quarter of an hour"),
    (40.0, "about an hour"),
    (0.0, "hours"),
)


@dataclass(frozen=True)
class Device:
    """A device that torch can compute on here.

    name: `cpu`, `cuda:0`, `mps`. memory: bytes in all, None where torch cannot tell.
    float32, bfloat16: measured speed of a square matrix product in GFLOP/s, None where the device
        cannot do it.
    """

    name: str
    model: str
    memory: int | None
    float32: float | None
    bfloat16: float | None

    @property
    def best(self) -> float:
        """The faster of the two speeds, in GFLOP/s."""
        return max(self.float32 or 0.0, self.bfloat16 or 0.0)


@dataclass(frozen=True)
class Examination:
    """Everything `tomogram doctor` reports. Sizes are in bytes.

    cores: those this process may use, which can be fewer than the machine has.
    memory: all of it, or the limit of the container. disk: free space where the command runs.
    packages: versions of what a scan uses; optional: versions of what it can do without, or None.
    reference_model: whether the reference weights are part of this installation.
    duration: what a standard scan of a model of 15 million parameters takes here, in words.
    advice: what is in the way of a scan, a sentence each; empty where nothing is.
    """

    tomogram: str
    python: str
    system: str
    cores: int
    threads: int
    memory: int
    memory_available: int
    disk: int
    devices: tuple[Device, ...]
    packages: dict[str, str | None]
    optional: dict[str, str | None]
    reference_model: bool
    duration: str
    advice: tuple[str, ...]


def examine(folder: Path) -> Examination:
    """Examine this machine for scans that write below `folder`. Takes about a second.

    folder: an existing folder. Torch's settings are left as they are.
    """
    memory, available = memory_limits()
    devices = tuple(_device(name) for name in device_names())
    disk = shutil.disk_usage(folder).free
    reference_model = has_reference_model()
    return Examination(
        tomogram=tomogram.__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cores=usable_cores(),
        threads=torch.get_num_threads(),
        memory=memory,
        memory_available=available,
        disk=disk,
        devices=devices,
        packages={name: _version(name) for name in ("torch", "transformers", "pyarrow", "duckdb")},
        optional={name: _version(name) for name in OPTIONAL},
        reference_model=reference_model,
        duration=expected_duration(max(device.best for device in devices)),
        advice=advise(
            memory_available=available,
            disk=disk,
            cores=usable_cores(),
            threads=torch.get_num_threads(),
            reference_model=reference_model,
        ),
    )


def advise(
    *, memory_available: int, disk: int, cores: int, threads: int, reference_model: bool
) -> tuple[str, ...]:
    """What is in the way of a scan of the reference model, a sentence each. Sizes in bytes."""
    advice = []
    if memory_available < MEMORY_NEEDED:
        advice.append(
            f"Only {memory_available / GIB:.1f} GiB of memory are free; "
            f"a scan may need {MEMORY_NEEDED / GIB:.0f} GiB."
        )
    if disk < DISK_NEEDED:
        advice.append(
            f"Only {disk / GIB:.1f} GiB of disk are free here; "
            f"a tomogram may need {DISK_NEEDED / GIB:.0f} GiB."
        )
    if threads > cores:
        advice.append(
            f"torch uses {threads} threads on {cores} usable cores; set OMP_NUM_THREADS={cores}."
        )
    if not reference_model:
        advice.append("The reference model is not part of this installation; install it again.")
    return tuple(advice)


def expected_duration(gflops: float) -> str:
    """In words, how long a standard scan of a model of 15 million parameters takes.

    gflops: speed of the fastest matrix product of the machine in GFLOP/s.
    """
    return next(words for limit, words in _DURATIONS if gflops >= limit)


def usable_cores() -> int:
    """Cores that this process may use: the machine's, its affinity's or its container's share."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else (os.cpu_count() or 1)
    quota, period = _cgroup("cpu.max", 2)
    return max(1, min(cores, round(quota / period))) if quota and period else cores


def memory_limits() -> tuple[int, int]:
    """Bytes of memory in all and bytes free now, within the container's limit if there is one."""
    memory = psutil.virtual_memory()
    (limit,) = _cgroup("memory.max", 1)
    (used,) = _cgroup("memory.current", 1)
    if limit is None or limit >= memory.total:
        return memory.total, memory.available
    return limit, min(memory.available, limit - (used or 0))


def _cgroup(name: str, count: int) -> list[int | None]:
    """The first numbers of a control-group file (version 2); None for `max` and where absent."""
    try:
        words = Path("/sys/fs/cgroup", name).read_text().split()
    except OSError:
        words = []
    numbers: list[int | None] = [int(word) if word.isdigit() else None for word in words[:count]]
    return numbers + [None] * (count - len(numbers))


def cpu_name() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def device_names() -> tuple[str, ...]:
    """Names of all devices torch can compute on here, the CPU first."""
    cuda = tuple(f"cuda:{index}" for index in range(torch.cuda.device_count()))
    return ("cpu", *cuda, *(("mps",) if torch.backends.mps.is_available() else ()))


def _device(name: str) -> Device:
    device = torch.device(name)
    model, memory = cpu_name(), psutil.virtual_memory().total
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        model, memory = properties.name, properties.total_memory
    return Device(
        name=name,
        model=model,
        memory=memory,
        float32=matmul_speed(device, torch.float32),
        bfloat16=matmul_speed(device, torch.bfloat16),
    )


def matmul_speed(device: torch.device, dtype: torch.dtype) -> float | None:
    """Speed of a product of two square matrices in GFLOP/s, the best of several runs.

    The best run is taken because other work on the machine can only slow a run down. None where
    the device cannot multiply this dtype.
    """
    try:
        left = torch.ones(_SIDE, _SIDE, device=device, dtype=dtype)
        out = left @ left  # the first run also sets the library up
        _wait(device)
        best, begin = float("inf"), time.perf_counter()
        while time.perf_counter() - begin < _MEASURE_SECONDS:
            start = time.perf_counter()
            torch.mm(left, left, out=out)
            _wait(device)
            best = min(best, time.perf_counter() - start)
    except (RuntimeError, TypeError):
        return None
    return round(2 * _SIDE**3 / best / 1e9, 1)


def _wait(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def has_reference_model() -> bool:
    """Whether this installation holds the weights of the reference model."""
    spec = find_spec("tomogram.reference")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return any(any(Path(folder).rglob("*.safetensors")) for folder in folders)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
