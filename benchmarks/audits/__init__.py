"""Audits: what the declared zoo holds, its scores, and the figures that follow from them."""
