"""Keep how far a denoising has come, and go on from there in another process.

Read in this order: stepping (what a step leaves, and how the next run gets there without asking the
model), packing (values), file (bytes), keeper (when), carrier (the store).
"""
