"""Trained parts that several trackers can use."""
