"""Benchmarks of boxes: GOT-10k, TrackingNet and the other data sets of the got10k toolkit."""
