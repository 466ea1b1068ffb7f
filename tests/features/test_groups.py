from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tomogram.features.groups import rank, running, up_to_largest

grouped = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=20).map(sorted)


@given(grouped)
def test_agree_with_loops(pairs: list[tuple[int, int]]) -> None:
    group = np.array([g for g, _ in pairs], np.int64)
    values = np.array([v for _, v in pairs], np.float64)
    ranks, sums, chosen = [], [], []
    for i, g in enumerate(group):
        mates = [j for j in range(len(group)) if group[j] == g]
        first = min(j for j in mates if values[j] == values[mates].max())
        ranks.append(mates.index(i))
        sums.append(sum(values[j] for j in mates if j <= i))
        chosen.append(i <= first)
    assert rank(group).tolist() == ranks
    assert running(values, group).tolist() == sums
    assert up_to_largest(values, group).tolist() == chosen
