-- A video is Healthy when it is there, Degraded when somebody has to look, Suspended when
-- spec.suspend holds it back, and Progressing until then.
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
if status.phase == "Suspended" then
  return { status = "Suspended", message = message }
end
return { status = "Progressing", message = message }
