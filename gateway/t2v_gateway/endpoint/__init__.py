"""The documented endpoint: its text2video and what stands beside it."""
