-- begin: a worker takes a task and is told whether to go on.
--
-- KEYS: live hash, status array, event stream, message stream
-- ARGV: chain id ("" for a task of no chain), stage, member, task id, actor, now, worker,
--       retries (as the message says), status ttl, lone ttl (seconds that a task of no chain is kept),
--       lease ttl (milliseconds)
-- Returns: {"go", token, attempt, results of the members before or false}, or {"done"} the task has
--          succeeded before, {"closed"} task or chain has ended otherwise, {"stale"} a newer message of
--          the task is on its way, {"busy", milliseconds} another run is known to be alive for so long,
--          {"unknown"} nothing is on the board

-- include transition
local chain_id, stage, now = ARGV[1], ARGV[2], ARGV[6]
local chain, of, task = read(stage, ARGV[3])
if not chain then
    if chain_id ~= "" then
        return {"unknown"}
    end
    redis.call("HSET", live, "state", NEW_STATE, "created", now)
    redis.call("EXPIRE", live, ARGV[10])
    chain, of, task = read(stage, ARGV[3])
end
if task.status == "SUCCESS" then
    return {"done"}
end
if TERMINAL[task.status] or TERMINAL[chain.state.status] then
    return {"closed"}
end
if tonumber(ARGV[8]) < (task.retries or 0) or chain.state.current ~= of.number then
    return {"stale"}
end
local moment = milliseconds()
if (task.status == "STARTED" or task.status == "RUNNING") and (task.lease or 0) > moment then
    return {"busy", task.lease - moment}
end

task.token, task.attempt = task.token + 1, task.attempt + 1
task.status, task.progress, task.worker = "STARTED", 1, ARGV[7]
task.task, task.actor = ARGV[4], ARGV[5]
task.metadata, task.finished = nil, nil
task.started, task.retries = task.started or now, task.retries or 0
local first = chain.state.status == "PENDING"
if first then
    chain.state.status, chain.state.started = "STARTED", now
end
task.lease = moment + ARGV[11]
show(chain_id, chain, of, task, now, ARGV[9], 0, "", {}, first)

local inputs = false
if of.number > 1 then
    local count = tonumber(redis.call("HGET", live, (of.number - 1) .. ":members"))
    if count > 0 then
        inputs = member_results(of.number - 1, count)
    end
end
return {"go", tostring(task.token), task.attempt, inputs}
