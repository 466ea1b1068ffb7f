"""Activations: streamed from a model over text, mixed for training, harvested to shards."""
