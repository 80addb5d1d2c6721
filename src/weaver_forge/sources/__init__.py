"""Reaching out for bytes: files and the git command line. What the bytes mean is decided in ``decode``."""
