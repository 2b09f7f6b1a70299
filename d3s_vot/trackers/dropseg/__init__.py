"""DropSeg (Wu et al., DropMAE, CVPR 2023): the first frame with its mask and the present one in one transformer."""
