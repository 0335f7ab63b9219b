"""What the search index has yet to hear, and the vectors of what is described."""

from __future__ import annotations

from django.db import models
from pgvector.django import HalfVectorField, HnswIndex

from agentstore.kit.clock import now

EMBEDDING_DIMENSIONS = 384


class IndexOutbox(models.Model):
    """A product that changed since the index last read it; written in the transaction of the change."""

    product_id = models.BigIntegerField(help_text="no key: a deleted product must leave the index too")
    at = models.DateTimeField(default=now)

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "index outbox"

    def __str__(self) -> str:
        return f"product {self.product_id}"


class WaitingText(models.Model):
    """A distinct text that has no vector yet; goes when it has one, or when no product reads so any more."""

    text_hash = models.CharField(max_length=64, primary_key=True)

    def __str__(self) -> str:
        return self.text_hash[:12]


class TextEmbedding(models.Model):
    """The sentence embedding of one distinct text, shared by all products that read the same."""

    text_hash = models.CharField(max_length=64, primary_key=True)
    key = models.BigIntegerField(unique=True, help_text="60 bits of the hash, as the full-text index has it")
    vector = HalfVectorField(dimensions=EMBEDDING_DIMENSIONS)
    computed_at = models.DateTimeField(default=now)

    class Meta:
        # Catalogues are clusters of near-duplicates; pgvector's default construction (64) loses some whole.
        # Measured: docs/algorithms/search.md.
        indexes = [
            HnswIndex(
                name="text_embedding_hnsw",
                fields=["vector"],
                m=16,
                ef_construction=200,
                opclasses=["halfvec_cosine_ops"],
            )
        ]

    def __str__(self) -> str:
        return self.text_hash[:12]
