"""Wire formats: bytes to values and back, without any I/O."""
