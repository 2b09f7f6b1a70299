"""LWL: a filter learnt in the video predicts an encoding of the target's mask, which a decoder turns into it."""
