"""The seed catalogue: real goods from package registries, told as ACP feeds and read by the feed importer."""
