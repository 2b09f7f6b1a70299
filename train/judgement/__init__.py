"""Training of the head that judges a crop (d3s_vot/heads/judgement.py), behind a trained D3S network."""
