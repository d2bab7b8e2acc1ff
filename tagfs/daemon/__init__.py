"""The daemon as a process: lock, mount point, log, signals, readiness. What it then runs is `tagfs.app`.

errors, info, lock, mountpoint, readiness      light: the command line uses them too
logs, run, __main__                            the process itself, started as `python -m tagfs.daemon`
"""
