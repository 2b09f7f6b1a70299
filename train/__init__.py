"""Training of the segmentation network (paper section 3.3): `python -m train`."""
