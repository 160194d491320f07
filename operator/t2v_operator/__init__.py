"""Turns TextToVideoJob resources into Jobs and their ends into status.

Three rooms: `core` decides and does no I/O, `cluster` watches and acts, `cli` is the program `t2v`.
"""
