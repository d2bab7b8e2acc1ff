"""The file system without the kernel: nodes, listings, edits, open files. Knows the engine's ports, not pyfuse3.

Errors leave as `OSError` with the errno that the contract names and one sentence for `/.tagfs/errors`.
Everything runs on the trio thread.
"""
