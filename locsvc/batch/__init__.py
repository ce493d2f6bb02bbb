"""Many calls from a table to a table: the engines that run the kernel of `locsvc.tables` over a whole input.

What is finished, what is left and what was counted stand beside the output until it is whole.
"""
