"""Who reads documentation at run time, so that changing it changes what a program does.

Told from the text of a file itself; that another file reads its documentation is told by ``readers``.
"""

import re

PYTHON_READERS = frozenset({
    # commands whose help is the docstring
    "click", "typer", "cyclopts", "docopt", "fire", "plac", "argh", "clize", "cleo", "invoke", "fabric", "nox", "doit",
    "cmd", "cmd2", "defopt", "tyro", "jsonargparse", "asyncclick", "rich_click", "discord", "cappa", "duty",
    # descriptions of an API
    "fastapi", "flask_restx", "flask_restplus", "flasgger", "apispec", "rest_framework", "drf_spectacular", "drf_yasg",
    "ninja", "strawberry", "graphene", "ariadne", "connexion", "spyne", "xmlrpc", "litestar", "robyn", "flask_smorest",
    "aiohttp_apispec", "spectree", "pydantic", "msgspec", "zope", "robot", "dagster", "prefect", "airflow", "kfp",
    # prompts
    "langchain", "langchain_core", "langgraph", "mcp", "fastmcp", "agents", "pydantic_ai", "smolagents", "dspy",
    "instructor", "semantic_kernel", "autogen", "llama_index", "crewai", "haystack",
    # grammars
    "ply", "spark_parser",
    # documentation that is run or rendered
    "doctest", "xdoctest", "sphinx", "pydoc", "pdoc", "numpydoc",
})  # fmt: skip
"""Packages that take a docstring as data: what imports one may have its docstrings read."""

PYTHON_REGISTRIES = frozenset({
    "click", "asyncclick", "typer", "cyclopts", "fire", "plac", "argh", "clize", "invoke", "defopt", "tyro",
    "jsonargparse", "mcp", "fastmcp", "langchain", "langchain_core", "pydantic_ai", "smolagents", "dspy", "doctest",
    "xdoctest", "numpydoc", "pdoc",
})  # fmt: skip
"""Those of them to which functions of other modules are handed, which then need not import them."""

PYTHON_WORDS = re.compile(rb"\b__doc__\b|\bgetdoc\b|\bdocstring_parser\b|\bhelp\(")
"""Words with which Python code reads documentation."""

RUST_READERS = re.compile(
    rb"\b(clap|structopt|argh|schemars|utoipa|async_graphql|juniper|poem_openapi|paperclip|pyo3|rmcp|macro_rules!"
    rb"|missing_docs|include_str!|proc_macro)\b|#!?\[\s*doc\b"
)
"""What takes the documentation of Rust items as data, or asks for it."""

RUST_EXAMPLE = re.compile(rb"```|~~~|^\s*//[/!]\s{5,}\S", re.MULTILINE)
"""Code in documentation, which ``cargo test`` compiles and runs."""

PHP_READERS = re.compile(rb"getDocComment|DocBlock|Annotation|phpDocumentor|Doctrine", re.IGNORECASE)
"""What reads documentation of PHP by reflection."""

EXAMPLE = re.compile(rb"^[ \t]*(?:>>>|In \[\d+\]:)", re.MULTILINE)
"""The prompt of an example that doctest runs."""

DIRECTIVES = re.compile(
    rb"\.\. *(?:testcode|testsetup|testcleanup|testoutput|doctest|ipython)::|\{(?:doctest|testcode)\}"
)
"""Blocks that sphinx.ext.doctest runs."""


def examples(text: bytes) -> list[bytes]:
    """Paragraphs that have an example in them, as doctest would run them."""
    if not EXAMPLE.search(text):
        return []
    return [part for part in re.split(rb"\r?\n[ \t]*\r?\n", text) if EXAMPLE.search(part)]
