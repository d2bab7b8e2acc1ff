"""What a mount costs with 10,000 to 1,000,000 items: one script a question, see `__main__` for all of them at once."""
