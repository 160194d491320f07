"""Makes one video in one process. Knows nothing of Kubernetes.

Read in this order: `main`, `generate`, `model`, `denoise`, `video`, `publish`.
Importing anything here starts nothing and loads no torch until a function needs it.
"""
