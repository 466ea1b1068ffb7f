"""Circuits: how a model's parts work together.

`head_scores` says what each attention head looks for; `logit_lens` reads the prediction off early,
at every depth.
"""
