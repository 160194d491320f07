"""A real Kubernetes for the tests, from package registries alone.

Read in this order: `choice` (which cluster), `cluster` (what every cluster can do), `one_node` (how
one is started from nothing), then `components`, `settings` and `cleanup` for the particulars.
The package knows nothing about the product it tests.
"""
