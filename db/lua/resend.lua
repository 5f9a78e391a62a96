-- resend: which of a stage's messages are to be sent again, because nobody owns their tasks.
--
-- KEYS: live hash, status array, event stream, message stream, open chains
-- ARGV: chain id, stage, key of a worker's life without the worker's id, namespace of the queues ("" = they
--       are not in Redis)
-- Returns: {"recorded", {indexes of the messages to send, from 1}}, {"owned"} there is nothing to do,
--          {"closed"} the chain has ended or has moved on, {"unknown"}

-- include transition
-- include owner
local stage = tonumber(ARGV[2])
local found = redis.call("HMGET", live, "state", "plan")
if not found[1] then
    return {"unknown"}
end
local state = cjson.decode(found[1])
if TERMINAL[state.status] or state.current ~= stage then
    return {"closed"}
end
local function task_of(member)
    local _, _, task = read(stage, member)
    return task
end
local indexes = {}
for i, member in ipairs(unowned(cjson.decode(found[2])[stage], task_of, ARGV[3], ARGV[4], milliseconds())) do
    indexes[i] = math.max(member, 1)
end
if #indexes == 0 then
    return {"owned"}
end
watch(ARGV[1])
return {"recorded", indexes}
