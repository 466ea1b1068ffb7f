"""How well dictionaries reconstruct at equal tokens and equal L0, beside the peers'."""
