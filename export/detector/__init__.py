"""The face detector, from its two networks to one graph."""
