"""Made-up calls played against a service: what was said by when, and how right it was."""
