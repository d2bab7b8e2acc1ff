"""BitTorrent by libtorrent 2.1: the only package that imports it. What leaves it are plain frozen values.

`metadata` reads .torrent files, `session` runs the one session of the process, `events` are what it tells.
"""
