"""Formats: bytes or text to the words of the model and back, without I/O."""
