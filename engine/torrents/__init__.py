"""Torrents as items: their files become blobs one by one, are read while they arrive, and go on being seeded.

`manager` is what the rest of tagfs sees. Only `engine.sources.torrent` knows libtorrent.
"""
