"""OSTrack (Ye et al., ECCV 2022) and DropTrack (Wu et al., CVPR 2023): template and search in one transformer."""
