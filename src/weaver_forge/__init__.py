"""Weaver Forge: predict what a software delivery system is about to do, and act as far as that has been earned.

This package is the light library: typed, importable without Dagster, MLflow or scikit-learn.
Orchestration lives in ``assets/``, machine learning in ``models/``; neither is imported from here.
"""

__version__ = "0.1.0"
