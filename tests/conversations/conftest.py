from tests.conversations.world import (  # noqa: F401  (fixtures are found by name)
    agent,
    budget,
    conversation,
    gateway,
    lamp,
    mug,
    play,
    prices,
    run_dir,
    shopper,
    token,
    turn,
)
