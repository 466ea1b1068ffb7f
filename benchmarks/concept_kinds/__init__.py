"""Which kind and shape of dictionary finds the reference model's known concepts best."""
