"""The OpenAI Videos API, for clients that speak it.

Follow one request: `routes` has the addresses, `reading` takes a body apart, `requests` makes a
resource's spec of it, `answers` says what became of it, `content` gives the files.
"""
