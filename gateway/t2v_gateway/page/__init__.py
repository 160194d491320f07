"""The page for people: sign in with a key, see one's videos, ask for more.

Begin with `addresses`. The browser's half is in static/, plain files without a build step. What
the two say to each other, below /page/api, is theirs alone and may change with any version.
"""
