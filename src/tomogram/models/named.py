"""Sites of a model by the names that people give."""

from __future__ import annotations

from tomogram.models.model import Model
from tomogram.models.sites import LAYER_KINDS, Site
from tomogram.store.errors import TomogramError


def sites_named(model: Model, name: str) -> list[Site]:
    """The site `resid_post.3`, or for a kind without its layer, `resid_post`, that of every layer.

    Raises TomogramError for a name that is no site, and for a site or kind the model lacks.
    """
    found = [site for site in model.sites if name in (site.kind, str(site))]
    if not found:
        if name not in LAYER_KINDS:
            Site.parse(name)  # says what is wrong with the name itself
        raise TomogramError(f"{model.name} has no site {name}.")
    return found
