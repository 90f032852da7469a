"""Which models fit this machine, and how."""
