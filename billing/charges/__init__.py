"""One fee explained: its rule, what it was taken of, its course, what earned it. And the month's forecast."""
