"""Model organisms: known problems planted in copies of a model, and their matched shams."""
