"""Benchmarks: modules `bench_*.py`, each run in a process of its own by `python -m bench [NAME…]`."""
