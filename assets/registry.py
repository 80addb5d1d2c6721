"""The registry of decisions: from the lines of ``weaver-forge.toml`` to loaded, validated specs.

Loading a spec imports its package and nothing of Dagster or MLflow: on-demand scoring uses this too.
"""

import importlib
from types import ModuleType

from weaver_forge.contracts.decision import DecisionSpec
from weaver_forge.errors import ConfigurationError, UsageError
from weaver_forge.settings import MARKER, Settings


def load_specs(settings: Settings) -> tuple[DecisionSpec, ...]:
    """Import every registered package and return its spec, in the order of the file.

    Raises:
        ConfigurationError: If a package is missing, exports no spec, or its spec has another name.
    """
    for name in settings.options:
        if name not in settings.decisions:
            raise ConfigurationError(
                f"options for {name!r}, which is not under [decisions]",
                where=str(settings.root / MARKER),
                do=f"Register it, or remove [options.{name}]",
            )
    return tuple(load_spec(settings, name) for name in settings.decisions)


def load_spec(settings: Settings, name: str) -> DecisionSpec:
    """Load one registered decision, configured with its options.

    Raises:
        UsageError: If no decision has this name.
        ConfigurationError: As :func:`load_specs`.
    """
    where = str(settings.root / MARKER)
    package = settings.decisions.get(name)
    if package is None:
        known = ", ".join(settings.decisions) or "none"
        raise UsageError(f"unknown decision {name!r}", do=f"Registered: {known}")
    try:
        module = importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name is None or not package.startswith(error.name):
            raise
        raise ConfigurationError(
            f"decision {name!r} names the package {package!r}, which is not there",
            where=where,
            do=f"Make the package {package} in the deployment's root, or remove the line",
        ) from error
    spec = _configured(module, name, settings, where)
    if not isinstance(spec, DecisionSpec) or spec.name != name:
        raise ConfigurationError(
            f"{package} must export SPEC, a DecisionSpec named {name!r}, but has {getattr(spec, 'name', spec)!r}",
            where=where,
            do="Use one word for a decision everywhere",
        )
    return spec


def _configured(module: ModuleType, name: str, settings: Settings, where: str) -> object:
    options = settings.options.get(name)
    if not options:
        return getattr(module, "SPEC", None)
    try:
        return module.configure(**options)
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"[options.{name}] does not fit: {error}", where=where, do="See the package's configure()"
        ) from error
