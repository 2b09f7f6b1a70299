"""The command by its module: `python -m d3s_vot.cli`."""

import sys

from d3s_vot.cli import main

sys.exit(main())
