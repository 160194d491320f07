-- A model is Healthy when videos can be made with it, Degraded when somebody has to look, and
-- Progressing while it is fetched.
local status = obj.status
if status == nil or status.conditions == nil
    or status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "the operator has not looked at it yet" }
end

local holds, message = {}, status.message or ""
for _, condition in ipairs(status.conditions) do
  holds[condition.type] = condition.status == "True"
  if condition.type == "Ready" then
    message = condition.reason .. ": " .. condition.message
  end
end

if holds.Stalled then
  return { status = "Degraded", message = message }
end
if holds.Ready then
  return { status = "Healthy", message = message }
end
return { status = "Progressing", message = message }
