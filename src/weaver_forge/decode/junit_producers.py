"""Which tool wrote a JUnit report, from the few marks that tools leave.

A producer is named only where its mark is its own; elsewhere it stays empty. What is read differently for a
producer is decided where that is read.
"""

from collections.abc import Mapping

_ROOT_NAMES = {
    "pytest": "pytest",
    "pytest tests": "pytest",
    "jest tests": "jest",
    "mocha tests": "mocha",
    "vitest tests": "vitest",
    "rspec": "rspec",
    "alltests": "googletest",
}
_PROPERTIES = {"go.version": "go", "surefire.test.class.path": "surefire", "surefire.real.class.path": "surefire"}


def producer_of_suite(attributes: Mapping[str, str]) -> str:
    """Name the tool by what a ``testsuites`` or ``testsuite`` element says; empty where it does not say."""
    found = _ROOT_NAMES.get(attributes.get("name", "").lower())
    if found:
        return found
    schema = next((value for name, value in attributes.items() if name.endswith("noNamespaceSchemaLocation")), "")
    return "surefire" if "surefire" in schema else ""


def producer_of_property(name: str) -> str:
    """Name the tool by a suite property, whose name is given in lower case."""
    return _PROPERTIES.get(name, "")
