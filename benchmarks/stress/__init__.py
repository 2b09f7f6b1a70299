"""The stress set: clips with exact masks, made from pictures and videos with masks, of what trackers fail at."""
