"""How a video gets to whoever asked for it: reports, uploads, stores, links.

Knows the core; knows nothing of the cluster's room, which hands in what it needs.
"""
