"""Steering: what raising one feature does, beside contrast directions and random ones.

    python -m benchmarks.steering --json               ten concepts of the reference model, stories
    python -m benchmarks.steering microworld --json    the concepts alone
    python -m benchmarks.steering stories --json       "Golden Gate" on stories15M alone

Dictionaries are trained once and kept below `~/.cache` (`cache.py`).
"""

from __future__ import annotations

import sys

from benchmarks.harness import Figure, main
from benchmarks.steering import golden_gate, microworld


def measure(quick: bool) -> dict[str, Figure]:
    """Both parts."""
    return {**microworld.measure(quick), **golden_gate.measure(quick)}


PARTS = {"microworld": microworld.measure, "stories": golden_gate.measure}

if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    sys.argv[1:] = [word for word in sys.argv[1:] if word.startswith("-")]
    if not words:
        main("steering", measure)
    elif len(words) == 1 and words[0] in PARTS:
        main(f"steering {words[0]}", PARTS[words[0]])
    else:
        sys.exit(f"python -m benchmarks.steering [{' | '.join(PARTS)}] [--json] [--quick]")
