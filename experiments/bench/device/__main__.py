"""``python -m experiments.bench.device``."""

import sys

from experiments.bench.device.command import main

sys.exit(main(sys.argv[1:]))
