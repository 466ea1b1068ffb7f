"""Search: find features by words, meaning, a prompt, examples, likeness, or what they promote."""
