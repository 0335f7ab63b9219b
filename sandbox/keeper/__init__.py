"""The process that holds one engine-less sandbox: its parent, its watchdog, the writer of what became of it.

It is started once per sandbox by the `runsc` driver, outlives the worker that started it, and uses the
standard library alone, so that it starts in a few milliseconds and costs a few megabytes.
"""
