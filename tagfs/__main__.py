"""`python -m tagfs`: the command line, without the console script. Imports only the command line."""

import sys

from tagfs.cli.main import main

sys.exit(main())
