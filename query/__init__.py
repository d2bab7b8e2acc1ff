"""The query language: grammar and algebra. Pure: no I/O, no clock, no knowledge of the engine."""
