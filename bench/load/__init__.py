"""Many processes at once on one mount, while downloads run: `python -m bench.load`."""
