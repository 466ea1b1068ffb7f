"""Text: where it comes from, how it is packed, and text sampled from a model itself."""
