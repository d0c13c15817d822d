"""One module for each outside library, imported on demand: ``import fastsoftmax.integrations.dask``."""
