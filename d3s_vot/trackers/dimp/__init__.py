"""DiMP, PrDiMP and SuperDiMP: a network predicts the filter (Bhat et al., ICCV 2019; Danelljan et al., CVPR 2020)."""
