"""Pixels as recipes take them: read, fitted, masked and extended. Knows no recipe."""
