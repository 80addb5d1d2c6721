"""Listening: OTLP and webhooks. What is acknowledged lies on disk in the inbox; the pipeline takes it in from there.

Reaching out (git, REST, files) belongs in ``sources``; what the bytes mean belongs in ``decode``.
"""
