-- revoke: a chain is called off. What is open of its current stage ends REVOKED and its runs are fenced.
--
-- KEYS: live hash, status array, event stream, message stream, open chains
-- ARGV: chain id, now, status ttl, final ttl, reason
-- Returns: {"recorded", stage, member, status before, ...}, {"closed", status}, {"unknown"}

-- include transition
local now = ARGV[2]
local text = redis.call("HGET", live, "state")
if not text then
    return {"unknown"}
end
local state = cjson.decode(text)
if TERMINAL[state.status] then
    return {"closed", state.status}
end
local planned = planned_tasks(state.current)
local _, of = read(state.current, 0)
local receipt = {"recorded", state.current}
for member = (of.members > 0 and 1 or 0), of.members do
    local chain, _, task = read(state.current, member)
    if not TERMINAL[task.status] then
        receipt[#receipt + 1] = member
        receipt[#receipt + 1] = task.status
        local names = planned[math.max(member, 1)]
        task.status, task.finished, task.token = "REVOKED", now, task.token + 1
        task.task, task.actor = names.task_id, names.task_name
        if task.started then
            task.metadata = timed(task.metadata, now - task.started)
        end
        end_chain(chain, "REVOKED", now, ARGV[5])
        chain.state.revoked = chain.state.revoked + 1
        show(ARGV[1], chain, of, task, now, ARGV[3], ARGV[4], quoted(ARGV[5]), {}, true)
    end
end
return receipt
