"""Load a Hugging Face decoder; name the places in it; read them, change them, and generate."""
