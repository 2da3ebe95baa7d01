"""The thesis's equations (2.1) to (3.3) and its running text."""
