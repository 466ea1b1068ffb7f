"""Features: what the units of a model fire on, and what they stand for.

A *unit* is a latent of a dictionary or one side of an MLP neuron (`units`). One pass over text
(`survey`) counts (`statistics`) and keeps examples (`exemplars`); `labels` says in words what a
unit fires on and tests the words on other text; `promoted` reads what a unit makes likely;
`tables` is how all of it lies on disk; `concepts` matches units to known truth.
"""
