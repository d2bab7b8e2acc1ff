"""One file a kind of directory."""
