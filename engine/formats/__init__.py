"""What names downloads without being one: magnets, Metalinks, link files, lists. Pure: bytes or text in, `Wanted` out.

    read ─▶ sniff ─▶ magnet · metalink · links · aria2_input ─▶ wanted ─▶ ports.AddRequest

One file a format. Each parser gives a value or raises BadRequest with one sentence, in time and memory that its input
bounds. Imports the engine's ports, errors and URLs; no I/O.
"""
