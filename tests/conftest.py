pytest_plugins = ["tests.cast", "tests.stack"]
