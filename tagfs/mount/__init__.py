"""The only part that knows pyfuse3: operations, node ids, the kernel's caches. Trio thread but for invalidation."""
