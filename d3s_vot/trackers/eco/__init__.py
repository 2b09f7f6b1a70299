"""ECO: a correlation filter that is learnt in the video alone, in the Fourier domain."""
