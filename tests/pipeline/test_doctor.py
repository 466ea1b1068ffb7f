"""The doctor: what it measures agrees with the machine, and its advice with what it measured."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tomogram.pipeline import doctor

FINE = {
    "memory_available": 8 * doctor.GIB,
    "disk": 8 * doctor.GIB,
    "cores": 2,
    "threads": 2,
    "reference_model": True,
}


def test_examination_agrees_with_the_machine(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    examination = doctor.examine(tmp_path)
    assert 1 <= examination.cores <= (os.cpu_count() or 1)
    assert 0 < examination.memory_available <= examination.memory <= psutil.virtual_memory().total
    assert examination.devices[0].name == "cpu"
    assert examination.devices[0].best > 0
    assert examination.threads == threads == torch.get_num_threads()
    assert examination.packages["torch"] == torch.__version__


def test_a_dtype_the_device_cannot_multiply_has_no_speed() -> None:
    assert doctor.matmul_speed(torch.device("cpu"), torch.bool) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, None),
        ({"memory_available": doctor.GIB}, "1.0 GiB of memory"),
        ({"disk": 0}, "0.0 GiB of disk"),
        ({"threads": 4}, "OMP_NUM_THREADS=2"),
        ({"reference_model": False}, "reference model"),
    ],
)
def test_advice_names_what_is_in_the_way(change: dict[str, int], words: str | None) -> None:
    advice = doctor.advise(**(FINE | change))  # type: ignore[arg-type]
    assert len(advice) == (words is not None)
    assert all(words is not None and words in sentence for sentence in advice)


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_faster_machine_is_never_expected_to_take_longer(one: float, two: float) -> None:
    order = ["a few minutes", "about a quarter of an hour", "about an hour", "hours"]
    slower, faster = sorted((one, two))
    assert order.index(doctor.expected_duration(faster)) <= order.index(
        doctor.expected_duration(slower)
    )
