"""Images, where they are kept, and what came of a sweep."""
