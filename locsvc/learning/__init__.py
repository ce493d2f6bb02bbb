"""Learning from located history: tables with truth become the coverage dataset."""
