"""The parts of a frame that networks look at, and the way back from them."""
