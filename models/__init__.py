"""The shipped model files; see README.md beside them for origin and licence."""
