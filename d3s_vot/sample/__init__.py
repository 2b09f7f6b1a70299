"""Sample sequences with exact ground truth, rendered from photographs of scikit-image."""
