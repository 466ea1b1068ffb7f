"""Planting known problems in models that speak English."""
