"""Steering from a scan's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tomogram.pipeline.plan import Plan
from tomogram.pipeline.scan import scan
from tomogram.pipeline.steering import Steering, steer
from tomogram.store.errors import TomogramError


@pytest.fixture(scope="module")
def scanned(tiny_model: Path, tiny_plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan of the tiny model."""
    out = tmp_path_factory.mktemp("scan") / "tiny.tomogram"
    scan(tiny_model, out=out, plan=tiny_plan)
    return out


def test_a_scan_brings_dictionaries_strength_and_text(scanned: Path, tiny_model: Path) -> None:
    found = steer(
        scanned, "Laura lives in", Steering(("resid_post.1/3",)), model=tiny_model, tokens=4
    )
    assert found.cost is not None
    assert found.cost.loss.n == 15
    assert found.strengths[0] > 0
    doubled = Steering(("resid_post.1/3",), strengths=(2 * found.strengths[0],))
    more = steer(scanned, "Laura lives in", doubled, model=tiny_model, tokens=4)
    assert more.cost is not None
    assert more.cost.divergence.value > found.cost.divergence.value > 0
    assert more.baseline == found.baseline


def test_a_scan_of_another_model_is_refused(scanned: Path) -> None:
    from tomogram.reference import shipped

    with pytest.raises(TomogramError, match="is a scan of tiny, not of this"):
        steer(scanned, "Laura", Steering(("resid_post.1/3",)), model=shipped.path())
