"""The face detector, from its TFLite models to one graph."""
