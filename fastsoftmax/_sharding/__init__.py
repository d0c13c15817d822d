"""A vocabulary in shards: what a shard leaves, and the row made of what all of them left."""
