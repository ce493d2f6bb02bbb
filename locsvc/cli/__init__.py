"""The command `locsvc`."""
