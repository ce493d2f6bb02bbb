"""Generated code of the contract `proto/locsvc/v1`; written by `scripts/generate`, never by hand."""
