"""Tags that follow from what an item is: proposed by its name and its content, or put on by the user's rules."""
