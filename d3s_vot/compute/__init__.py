"""How and where the arithmetic is done: device, precision, threads, compiled networks, time."""
