"""Model organisms: known problems planted in copies of a model, with the shams to compare them to."""
