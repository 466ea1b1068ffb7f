"""Charts: small pure functions from records to a `Picture` (inline SVG, words, numbers)."""
