"""The HTTP face: it makes TextToVideoJobs and reads their status; it holds no state of its own.

Follow one request: `endpoint/text2video` reads a body, `submitting` makes the resource, `videos`
sees it change, `endpoint/answers` says so.
"""
