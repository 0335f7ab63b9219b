"""Doors of sandboxes that run on another host: TCP to that host's door server, which knows its own sockets.

docs/decisions/0006-remote-doors.md says why.
"""
