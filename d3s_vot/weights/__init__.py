"""Files of weights: found, read without executing anything, verified, written."""
