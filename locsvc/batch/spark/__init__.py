"""The Spark engine: the kernel of `locsvc.tables` in `mapInArrow`, whatever the partitions and the executors.

`engine` chooses the way: `files` when both ends are plain paths, `frames` when one is a URL that Spark reads or writes.
"""
