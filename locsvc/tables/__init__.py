"""The table form: calls as rows of Parquet, CSV and JSON Lines, read as evidence and answered a batch at a time.

Below the faces, because batches, learning and evaluation all read it. `kernel` is the same function for every engine.
"""
