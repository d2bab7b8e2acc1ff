"""Content by SHA-256 on a local file system: `BlobStore`, its door out (`gc`), copies into it and its self-test."""

from engine.blobs.store import BlobStore

__all__ = ["BlobStore"]
