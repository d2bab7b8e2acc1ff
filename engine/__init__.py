"""Downloads, blobs, catalogue, index. Runs and is tested without FUSE."""
