"""Static views: images and grids in, text, HTML and pictures out."""
