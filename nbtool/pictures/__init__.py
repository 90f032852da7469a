"""Pictures as inputs: reading, fitting, masks. Pixels only."""
