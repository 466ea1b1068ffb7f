"""Models whose circuits are known, to measure circuit discovery on.

docs/discovery.md says where the truth of each comes from.
"""
