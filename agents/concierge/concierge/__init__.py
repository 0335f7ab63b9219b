"""A shopping agent by rule: what it says can be traced to what it found."""
