"""One module for each outside library; none is imported until it is asked for."""
