"""`python -m agentstore_sdk`: the command without its being installed."""

import sys

from agentstore_sdk.cli import main

sys.exit(main())
