"""The calibration fitted to located history: which numbers, on which rows, by which score, and what came of it."""
