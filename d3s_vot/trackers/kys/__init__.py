"""KYS: DiMP that carries what it knows of the scene from frame to frame (Bhat et al., ECCV 2020)."""
