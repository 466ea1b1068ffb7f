"""Audits: what is wrong with a model, read from its inside, with a measured rate of being wrong."""
