"""Circuit discovery on known circuits: edge AUROC, CPR, CMD and CPU time of every method.

Figures are means over the circuits of a kind: `tracr` and `planted`, whose true edges follow from
their matrices, and `siit`, `trained` and `reference`, whose truth is exact patching on other pairs
at the threshold `circuits.known.reference.THRESHOLD`. `of means` ranks edges by the size of their
mean over pairs, as published; without it by their mean size. ACDC runs on the small models only.
`lead` is the edge AUROC of our fast method less that of the best of EAP, EAP-IG and ACDC, each as
published, case by case.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch

from benchmarks.harness import Figure, figure, main
from tomogram.circuits.discovery.scores import METHODS
from tomogram.circuits.known.measure import ACDC, Measured, measure
from tomogram.pipeline.selftest import known_cases
from tomogram.store.estimates import estimate, within

FAST = "conductance"
PUBLISHED = ("eap", "eap-ig-inputs", "eap-ig-activations", ACDC)
BY_MATRICES, BY_PATCHING = ("tracr", "planted"), ("siit", "trained", "reference")
TARGETS = {
    **{("exact", kind): 1.0 for kind in BY_MATRICES},
    **{(FAST, kind): 0.97 for kind in BY_MATRICES},
    **{(FAST, kind): 0.90 for kind in BY_PATCHING},
}
PAIRS = 16


def measure_all(quick: bool) -> dict[str, Figure]:
    """Every method on every known circuit; quick takes four pairs and leaves ACDC out."""
    torch.set_num_threads(1)
    found: list[Measured] = []
    for case in known_cases(pairs=4 if quick else PAIRS):
        small = case.kind != "reference" and not quick
        measured = measure(case, (*METHODS, *((ACDC,) if small else ())))
        for each in measured:
            print(
                f"{each.kind:10} {each.case:22} {each.method:20} AUROC {each.auroc:.3f}"
                f" ({each.auroc_signed:.3f} of means), CPR {each.cpr:.2f}, CMD {each.cmd:.2f},"
                f" {each.seconds:.2f} s",
                flush=True,
            )
        found += measured
    groups: dict[tuple[str, str], list[Measured]] = defaultdict(list)
    for each in found:
        groups[each.kind, each.method].append(each)
    figures: dict[str, Figure] = {}
    for (kind, method), group in groups.items():
        for name, values, aim in (
            ("edge AUROC", [each.auroc for each in group], TARGETS.get((method, kind))),
            ("edge AUROC of means", [each.auroc_signed for each in group], None),
        ):
            mean = within(estimate(np.array(values)), 0, 1)
            figures[f"{kind}: {method}: {name}"] = figure(mean, aim)
        for name in ("cpr", "cmd", "seconds"):
            mean = within(estimate(np.array([getattr(each, name) for each in group])), 0)
            label = "CPU seconds" if name == "seconds" else name.upper()
            figures[f"{kind}: {method}: {label}"] = figure(mean)
    return figures | leads(found)


def leads(found: list[Measured]) -> dict[str, Figure]:
    """By how much the fast method is ahead of the best published one, over the cases of a kind."""
    by_case: dict[tuple[str, str], dict[str, Measured]] = defaultdict(dict)
    for each in found:
        by_case[each.kind, each.case][each.method] = each
    ahead: dict[str, list[float]] = defaultdict(list)
    for (kind, _), methods in by_case.items():
        best = max(methods[name].auroc_signed for name in PUBLISHED if name in methods)
        ahead[kind].append(methods[FAST].auroc - best)
    return {
        f"{kind}: lead of {FAST} over the best published": figure(estimate(np.array(values)), 0.0)
        for kind, values in ahead.items()
    }


if __name__ == "__main__":
    main("circuits", measure_all)
