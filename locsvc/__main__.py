"""`python -m locsvc`."""

from locsvc.cli import main

main()
