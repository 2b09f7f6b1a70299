"""ATOM (Danelljan et al., CVPR 2019): a filter learnt in the video finds the target, a trained regressor its box."""
