"""What happens to a training pair: motion, crops, light, noise."""
