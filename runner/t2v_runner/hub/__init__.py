"""Models from a hub: which of their files are needed, how they come, where they are kept.

In reading order: `listing`, `needs`, `asking`, `answers`, `fetching`, `several`, `cache`, `place`,
`lock`, `room`, `sums`, `kept`, `store`; `prefetch` is the program that fills a cache ahead of
videos.
"""
