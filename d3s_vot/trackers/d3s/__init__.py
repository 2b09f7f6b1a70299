"""D3S, the discriminative single-shot segmentation tracker (Lukezic, Matas, Kristan, CVPR 2020)."""
