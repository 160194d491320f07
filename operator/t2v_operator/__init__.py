"""Turns TextToVideoJob resources into Jobs and their ends into status.

Read in this order: `manifest`, `request`, `job`, `observed`, `decide`, `status`: the pure core.
Then the shell: `controller`, `reconcile`, `cluster`; and `local`, which needs no cluster.
"""
