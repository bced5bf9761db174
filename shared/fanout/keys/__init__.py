"""Virtual keys: what they may use, and exactly what they may spend."""
