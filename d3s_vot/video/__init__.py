"""Your own video: frames in, masks, boxes and an overlay out."""
