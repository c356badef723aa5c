"""Fuzz entries: `fuzz_NAME(data: bytes)` in modules `fuzz_*.py` let only the documented errors through."""
