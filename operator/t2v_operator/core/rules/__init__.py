"""The rules of `decide`, by what they are about: the request, the Job, its end, its waiting.

Each takes a `Situation` and says a `Decision`, or None where it does not apply.
"""
