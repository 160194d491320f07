"""The shell around the core: what is read from the API server, and what is done there.

Read in this order: `controller`, `reconcile`, `client`.
"""
