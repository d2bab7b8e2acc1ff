"""Which items match a query: roaring bitmaps beside the catalogue. See bitmap_index for the map."""

from engine.index.bitmap_index import BitmapIndex, NotPrepared

__all__ = ["BitmapIndex", "NotPrepared"]
