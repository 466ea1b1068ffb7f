"""Baselines beside the audits: what one gets without looking inside, and published ways of looking.

They have the audits' interface and never give a verdict. A baseline is one score or a panel of
several, which are ranked together as the audits are.
"""

from __future__ import annotations

from tomogram.audits.audit import Audit
from tomogram.audits.calibration.baselines.itself import ABOUT_ITSELF
from tomogram.audits.calibration.baselines.probed import DRAWN_REPLIES, PROBE_LIKELIHOOD
from tomogram.audits.calibration.baselines.text_alone import (
    ITEMS_WRONG,
    ORDINARY_REPLIES,
    SURENESS,
)
from tomogram.audits.calibration.baselines.white_box import (
    ACTIVATIONS,
    SIMPLE_PROBE,
    WEIGHT_SPECTRA,
)

BASELINES: dict[str, tuple[Audit, ...]] = {
    "baseline: items": (ITEMS_WRONG,),
    "baseline: likelihood": (ORDINARY_REPLIES,),
    "baseline: self-report": (SURENESS,),
    "baseline: drawn replies": DRAWN_REPLIES,
    "baseline: probe likelihood": PROBE_LIKELIHOOD,
    "baseline: about itself": ABOUT_ITSELF,
    "baseline: weight spectra": (WEIGHT_SPECTRA,),
    "baseline: activations": (ACTIVATIONS,),
    "baseline: simple probe": (SIMPLE_PROBE,),
}
"""The scores of each baseline by its name; the last three look inside."""
