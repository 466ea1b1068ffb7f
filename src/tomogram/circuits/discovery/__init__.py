"""Which edges between heads and MLPs carry a behaviour, and how far that can be trusted.

docs/discovery.md says what the data is, which formulas are used and what can go wrong.
"""
