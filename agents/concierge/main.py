"""The concierge: intent → retrieval → comparison → recommendation, without a language model."""

from agentstore_sdk import serve
from concierge.conversation import answer

if __name__ == "__main__":
    serve(answer)
