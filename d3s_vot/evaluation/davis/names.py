"""The names of DAVIS's validation sequences, for folders without its lists."""

from __future__ import annotations

_2016 = """
blackswan bmx-trees breakdance camel car-roundabout car-shadow cows dance-twirl dog drift-chicane
drift-straight goat horsejump-high kite-surf libby motocross-jump paragliding-launch parkour scooter-black
soapbox
"""
_2017 = """
bike-packing blackswan bmx-trees breakdance camel car-roundabout car-shadow cows dance-twirl dog dogs-jump
drift-chicane drift-straight goat gold-fish horsejump-high india judo kite-surf lab-coat libby loading
mbike-trick motocross-jump paragliding-launch parkour pigs scooter-black shooting soapbox
"""
VALIDATION = {"davis16-val": tuple(_2016.split()), "davis17-val": tuple(_2017.split())}
