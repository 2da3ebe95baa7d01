"""Sharpness in closed form."""
