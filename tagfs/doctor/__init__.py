"""`tagfs doctor`: what keeps tagfs from working here, and what to do about it. Needs no daemon, changes nothing.

examine ─▶ system: fuse, libraries, limits, ports      ─┐
        └▶ places: config, state directory, disk        ├─▶ findings, each a sentence and what to do
        └▶ running: daemon, mounts, database           ─┘
"""
