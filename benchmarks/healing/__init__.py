"""The healing benchmark: many kinds of real faults on many namespaced hosts; run by `python -m benchmarks.healing`."""
