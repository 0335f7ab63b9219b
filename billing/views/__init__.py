"""The money pages, one module for each audience, and the processor's door."""
