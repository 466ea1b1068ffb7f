"""Tomogram: an MRI for AI models.

The public API is lazy (PEP 562): importing this package never imports torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = [
    "Extent",
    "Order",
    "Steering",
    "TomogramError",
    "VitalSigns",
    "__version__",
    "audit",
    "calibrate",
    "change",
    "compare",
    "disclose",
    "discover",
    "discover_features",
    "evaluate",
    "explain",
    "load",
    "open",
    "scan",
    "search",
    "steer",
    "steered",
    "superposition",
    "trace",
    "train",
    "treat",
    "view",
]

# Public name -> (module, name there). Module names are data here, so that the root package stands
# on no floor and every floor may import it.
_PUBLIC = {
    "Extent": ("tomogram.pipeline.evaluation", "Extent"),
    "Order": ("tomogram.pipeline.training", "Order"),
    "Steering": ("tomogram.pipeline.steering", "Steering"),
    "TomogramError": ("tomogram.store.errors", "TomogramError"),
    "VitalSigns": ("tomogram.pipeline.trainer_callback", "VitalSigns"),
    "audit": ("tomogram.pipeline.auditing", "audit"),
    "calibrate": ("tomogram.pipeline.calibrating", "calibrate"),
    "change": ("tomogram.pipeline.changing", "change"),
    "compare": ("tomogram.pipeline.comparing", "compare"),
    "disclose": ("tomogram.disclosure.disclose", "disclose"),
    "discover": ("tomogram.pipeline.discovery", "discover_pairs"),
    "discover_features": ("tomogram.pipeline.discovery", "discover_feature_pairs"),
    "evaluate": ("tomogram.pipeline.evaluation", "evaluate"),
    "explain": ("tomogram.pipeline.explaining", "explain"),
    "load": ("tomogram.models.load", "load"),
    "open": ("tomogram.report.tomogram", "open_tomogram"),
    "scan": ("tomogram.pipeline.scan", "scan"),
    "search": ("tomogram.pipeline.searching", "open_search"),
    "steer": ("tomogram.pipeline.steering", "steer"),
    "steered": ("tomogram.steering.steered", "steered"),
    "superposition": ("tomogram.pipeline.superposition", "superposition"),
    "trace": ("tomogram.pipeline.tracing", "trace"),
    "train": ("tomogram.pipeline.training", "train"),
    "treat": ("tomogram.pipeline.treating", "treat"),
    "view": ("tomogram.viewer.notebook", "view"),
}

if TYPE_CHECKING:
    from tomogram.store.errors import TomogramError


def __getattr__(name: str) -> object:
    """Import a public name the first time it is asked for."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
