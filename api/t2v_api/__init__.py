"""The contract that operator, runner and gateway share: pydantic models, no I/O.

Read in this order: `resource` (what a user writes), `request` (what the runner is asked),
`progress` and `result` (what the runner answers), `profile` (what is known of a model).
"""
