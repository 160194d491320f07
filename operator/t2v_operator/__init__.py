"""Turns TextToVideoJob resources into Jobs and their ends into status.

Read in this order: `manifest`, `request`, `job`, `status`, `local`. The first four are pure.
"""
