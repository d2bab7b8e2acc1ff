"""What may be done to the catalogue, a function each: `verb(transaction, ...)`. On the writer thread."""
