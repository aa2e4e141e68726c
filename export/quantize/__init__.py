"""Numbers of fewer bits: stored weights, and convolutions in integers."""
