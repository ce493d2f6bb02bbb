"""Many calls from a table: record batches in, record batches out, and the engine that runs them on one machine.

The only room that knows Arrow. `kernel` is the same function for every engine.
"""
