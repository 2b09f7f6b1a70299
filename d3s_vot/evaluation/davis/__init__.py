"""DAVIS: masks of several objects."""
