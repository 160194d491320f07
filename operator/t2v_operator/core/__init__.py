"""What is decided, without a cluster: values in, values out.

Read in this order: `request`, `job`, `observed`, `observe`, `decide` with `rules`, `status`.
Nothing here does I/O, looks at a clock, or knows kopf, a Kubernetes client or torch.
"""
