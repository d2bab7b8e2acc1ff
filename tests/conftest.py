"""Settings of the whole suite.

Hypothesis draws the same examples in each run, so that what passed once passes on another machine; whoever asks for
more of them (TAGFS_EXAMPLES, TAGFS_STEPS) gets other ones each time.
"""

import os

from hypothesis import settings

settings.register_profile("tagfs", deadline=None, derandomize=True)  # no deadline: a slow machine is no failure
settings.register_profile("long", deadline=None)
settings.load_profile("long" if {"TAGFS_EXAMPLES", "TAGFS_STEPS"} & os.environ.keys() else "tagfs")
