"""`python -m agents.compile`."""

import sys

from agents.compile.compiler import main

sys.exit(main())
