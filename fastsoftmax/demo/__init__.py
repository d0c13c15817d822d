"""The demonstration ``python -m fastsoftmax``: a character model that writes text at several temperatures."""
