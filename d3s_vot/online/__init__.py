"""What is learnt while a video is tracked, for the trackers that share it."""
