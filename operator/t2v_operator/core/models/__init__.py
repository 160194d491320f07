"""VideoModels: what is seen of them, and what is to be done. No I/O, no clock.

In reading order: `observed`, `observe`, `decide`, `rules`, `prefetching`, `prefetch_job`.
"""
