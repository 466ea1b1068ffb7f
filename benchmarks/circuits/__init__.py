"""Circuit discovery on models whose circuits are known."""
