"""Steering: turn features and directions of a running model and measure what that changes.

`targets` says what can be turned, `edits` how, `positions` where, and `steered.steered` does it
while a block runs. `contrast` finds directions, `choosing` features, `strength` how strongly;
`effects` measures what an edit did, and `folding` saves a steered model.
"""
