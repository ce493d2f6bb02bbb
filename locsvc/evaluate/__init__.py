"""Error, coverage and scores: whether 90 % means 90 %."""
