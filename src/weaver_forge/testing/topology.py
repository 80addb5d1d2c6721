"""Which services the simulated organisation has, who calls whom, and what their code is made of.

Data only. How often a route is asked for is here too; how requests arrive over a day is in ``traffic``.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from weaver_forge.contracts.identity import service_key
from weaver_forge.testing.plan import ENVIRONMENT, NAMESPACE


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the simulated shop.

    Args:
        language: python (pytest reports) or java (surefire reports).
        modules: Source modules, the first ones being touched most.
        own_ms: Median time of a request spent in the service itself, milliseconds.
        is_old_semconv: Its instrumentation still writes the old attribute names.
    """

    name: str
    language: str
    modules: tuple[str, ...]
    own_ms: float
    is_old_semconv: bool = False

    @property
    def key(self) -> str:
        """namespace/name/environment."""
        return service_key(NAMESPACE, self.name, ENVIRONMENT)


SERVICES = (
    Service("gateway", "python", ("routing", "auth", "limits", "sessions", "rendering"), 6.0),
    Service("checkout", "python", ("orders", "pricing", "taxes", "vouchers", "delivery"), 22.0),
    Service("payment", "java", ("Charges", "Refunds", "Settlement", "Cards", "Ledger"), 45.0, is_old_semconv=True),
    Service("catalog", "python", ("products", "categories", "images", "imports", "prices"), 12.0),
    Service("inventory", "java", ("Stock", "Reservations", "Suppliers", "Batches", "Counts"), 9.0, is_old_semconv=True),
    Service("cart", "python", ("totals", "items", "discounts", "merging", "expiry"), 8.0),
    Service("search", "python", ("query", "ranking", "index", "synonyms", "filters"), 28.0),
    Service("notification", "python", ("mail", "templates", "queue", "preferences", "sms"), 35.0),
)
"""In the order in which a plan takes them: the first three already form a chain of calls."""

CHRONIC = (("checkout", "pricing"), ("search", "ranking"))
"""Two areas that break again and again; in a plan without search only the first one exists."""


@dataclass(frozen=True, slots=True)
class Call:
    """A server span, the calls it makes in turn, and the database statement it waits for."""

    service: str
    method: str
    route: str
    calls: tuple["Call", ...] = ()
    statement: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """A kind of request from outside.

    Args:
        weight: Share of the requests, relative.
        peak_hour: UTC hour of its daily maximum.
    """

    name: str
    weight: float
    peak_hour: float
    root: Call


_ROUTES = (
    Route(
        "browse",
        0.34,
        15.0,
        Call("gateway", "GET", "/products/{id}", (Call("catalog", "GET", "/v1/products/{id}", (), "SELECT products"),)),
    ),
    Route(
        "find",
        0.20,
        17.0,
        Call(
            "gateway", "GET", "/find", (Call("search", "GET", "/v1/find", (Call("catalog", "GET", "/v1/products"),)),)
        ),
    ),
    Route("show_cart", 0.15, 18.0, Call("gateway", "GET", "/cart", (Call("cart", "GET", "/v1/carts/{id}"),))),
    Route(
        "add_to_cart",
        0.10,
        18.5,
        Call(
            "gateway",
            "POST",
            "/cart/items",
            (Call("cart", "POST", "/v1/carts/{id}/items", (Call("inventory", "GET", "/stock/{sku}"),)),),
        ),
    ),
    Route(
        "buy",
        0.07,
        19.0,
        Call(
            "gateway",
            "POST",
            "/orders",
            (
                Call(
                    "checkout",
                    "POST",
                    "/v1/orders",
                    (
                        Call("inventory", "POST", "/reservations"),
                        Call("payment", "POST", "/charges", (), "INSERT charges"),
                        Call("notification", "POST", "/v1/mails"),
                    ),
                ),
            ),
        ),
    ),
    Route("show_orders", 0.07, 14.0, Call("gateway", "GET", "/orders", (Call("checkout", "GET", "/v1/orders"),))),
    Route("bank_callback", 0.05, 13.0, Call("payment", "POST", "/callbacks/bank", (), "UPDATE charges")),
    Route("supplier_feed", 0.02, 4.0, Call("inventory", "POST", "/feeds/{supplier}")),
)


def services(count: int) -> tuple[Service, ...]:
    """The first ``count`` services."""
    return SERVICES[:count]


def routes(count: int) -> tuple[Route, ...]:
    """The routes of an organisation with the first ``count`` services; calls to absent services are left out."""
    present = {service.name for service in services(count)}
    return tuple(
        Route(route.name, route.weight, route.peak_hour, _pruned(route.root, present))
        for route in _ROUTES
        if route.root.service in present
    )


def callers(count: int) -> dict[str, set[str]]:
    """Service name -> names of the services that call it directly."""
    found: dict[str, set[str]] = {service.name: set() for service in services(count)}
    for route in routes(count):
        for call in walk(route.root):
            for callee in call.calls:
                found[callee.service].add(call.service)
    return found


def walk(call: Call) -> Iterator[Call]:
    """The call and everything below it, parents first."""
    yield call
    for child in call.calls:
        yield from walk(child)


def _pruned(call: Call, present: set[str]) -> Call:
    calls = tuple(_pruned(child, present) for child in call.calls if child.service in present)
    return Call(call.service, call.method, call.route, calls, call.statement)
