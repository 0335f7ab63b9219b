from tests.orders.world import (  # noqa: F401  (fixtures are found by name)
    headphones,
    prices,
    processor,
    scout,
    shopper,
    standin_process,
)
