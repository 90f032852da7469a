"""What decides an image, and how it varies over a sweep."""
