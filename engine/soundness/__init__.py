"""Whether catalogue, store, staging and index agree, and what is done where they do not. See compare for the map."""
