from __future__ import annotations

import numpy as np
import pytest

from tomogram.features.search.catalogue import Catalogue
from tomogram.features.search.hits import hits
from tomogram.store.errors import TomogramError


@pytest.fixture
def catalogue() -> Catalogue:
    """Two families of three; 4 is a near-duplicate of 1, and 5 of the family of 0."""
    return Catalogue(
        families=("a", "b"),
        first=np.array([0, 3]),
        latent=np.ones(6, bool),
        rate=np.full(6, 0.1),
        labels=["on x", None, None, None, None, None],
        duplicate_of=np.array([0, 1, 2, 3, 1, 5]),
        kin_of=np.array([0, 1, 2, 3, 1, 0]),
    )


def test_near_duplicates_stand_with_the_better_hit(catalogue: Catalogue) -> None:
    found = hits([(4, 3.0), (1, 2.0), (5, 1.0), (0, 0.5)], catalogue, limit=2)
    assert [(hit.family, hit.unit, hit.score) for hit in found] == [("b", 1, 3.0), ("b", 2, 1.0)]
    assert found[0].duplicates == (("a", 1),)
    assert found[0].label is None
    assert found[1].kin == ("a", 0)
    single = hits([(4, 3.0), (1, 2.0)], catalogue, limit=5, grouped=False)
    assert [(hit.family, hit.unit) for hit in single] == [("b", 1), ("a", 1)]


def test_names_and_numbers(catalogue: Catalogue) -> None:
    for number in range(6):
        assert catalogue.number(*catalogue.name(number)) == number
    for family, unit in (("c", 0), ("a", 3), ("a", -1), ("b", 3)):
        with pytest.raises(TomogramError, match="no unit"):
            catalogue.number(family, unit)
