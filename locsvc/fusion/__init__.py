"""The confidence core: densities of evidence in, one honest region out; arrays only, no I/O, no clock."""
