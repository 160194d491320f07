"""The shell around the core: what is read from the API server, and what is done there.

Read in this order: `controller` (the process), `leader`, `reflector`, `store` and `cache` (what is
known), `work_queue`, `reconcile` (one look), `effects` and `client` (what is done).
"""
