"""Chaos: parts of the cluster and of the product go and come back by chance, while videos are made.

In reading order: `schedule` (what goes, and when), `videos` (what is made), `faults` (how each part
goes and comes back), `lives` and `watching` (what was seen of Jobs and pods all the while), `run`,
`judgement` (what was wrong in the end).
"""
