"""Calls played in real time against a server process of its own, or one that runs."""
