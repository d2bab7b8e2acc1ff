"""Where bytes come from. `stream` is what the transfer engine sees of a source, `http` the one that exists today.

Nothing here imports a sibling (catalogue, blobs, index) or the transfer engine.
"""
