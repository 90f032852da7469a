"""Pictures as pixels: read from anything, fitted into a size. Knows no recipe and no torch."""
