"""When videos will begin and be finished: how long each takes, in which order, and what is told.

`seconds` learns from runs, `turns` and `order` say who comes before whom, `line` puts those that
wait onto GPUs, `forecasts` follows a cluster change by change, `told` says what of it is worth a
write. Pure; knows no cluster.
"""
