"""`d3s-vot web`: a page on this computer to draw a target in a video and watch its mask follow."""
