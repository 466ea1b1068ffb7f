"""Audits of models that speak a natural language, by small sets of prompts of our own."""
