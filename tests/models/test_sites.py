"""Names of sites."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomogram.models.sites import KINDS, LAYER_KINDS, MODEL_KINDS, Site
from tomogram.store.errors import TomogramError

_sites = st.one_of(
    st.builds(Site, st.sampled_from(MODEL_KINDS)),
    st.builds(Site, st.sampled_from(LAYER_KINDS), st.integers(0, 200)),
)


@given(_sites)
def test_the_text_form_reads_back_as_the_same_site(site: Site) -> None:
    assert Site.parse(str(site)) == site


@given(st.text())
def test_text_that_parses_names_a_known_kind(text: str) -> None:
    try:
        site = Site.parse(text)
    except TomogramError:
        return
    assert site.kind in KINDS


@pytest.mark.parametrize(
    "text",
    ["", "resid_post", "resid_post.", "resid_post.-1", "resid_post.1.2", "embed.0", "blocks.0",
     "resid_post.٣", "resid_post.1_0", "RESID_POST.1"],
)  # fmt: skip
def test_what_names_no_site_is_refused(text: str) -> None:
    with pytest.raises(TomogramError):
        Site.parse(text)


def test_sites_are_hashable_and_frozen() -> None:
    site = Site("neurons", 2)
    assert {site: 1}[Site.parse("neurons.2")] == 1
    with pytest.raises(AttributeError):
        site.layer = 3  # type: ignore[misc]
