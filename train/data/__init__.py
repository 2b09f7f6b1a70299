"""The training data: found, indexed, drawn as pairs, fed in batches."""
