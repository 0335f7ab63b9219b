"""Catalogue text that tries to give orders to agents: found by named signals, marked in answers, reported to operators.

`examine` is pure. What it finds is kept by `examining`, decided on in `decisions`, and told to agents by `marks`.
"""
