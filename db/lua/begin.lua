-- begin: a worker takes a task and is told whether to go on.
--
-- KEYS: live hash, status array, event stream, message stream, open chains
-- ARGV: chain id ("" for a task of no chain), stage, member, task id, actor, now, worker,
--       retries (as the message says), status ttl, key of a worker's life without the worker's id,
--       deaths of workers that a task survives,
--       number of the worker's delivery: the same begin once more, as its answer was lost, is told the same,
--       seconds that the worker counts as alive from now on, if it does not yet (0 = leave that to others)
-- Returns: {"go", token, attempt, results of the members before or false, result of the stage before or false
--          where the message's own may be older}, {"exhausted", token, attempt, false, false} the run may
--          only fail: too many workers have died under the task, or {"done"} the task
--          has succeeded before, {"closed"} task or chain has ended otherwise, {"stale"} a newer message
--          of the task is on its way, {"busy", milliseconds} the worker of another run is known to be
--          alive for so long, {"unknown"} nothing is on the board

-- include transition
local chain_id, stage, now = ARGV[1], ARGV[2], ARGV[6]
local chain, of, task = read(stage, ARGV[3])
if not chain then
    if chain_id ~= "" then
        return {"unknown"}
    end
    redis.call("HSET", live, "state", NEW_STATE, "created", now)
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
-- What a run that holds the task is told.
local function verdict()
    if (task.deaths or 0) >= tonumber(ARGV[11]) then
        return {"exhausted", tostring(task.token), task.attempt, false, false}
    end
    local inputs, before = false, false
    if of.number > 1 then
        local count = tonumber(redis.call("HGET", live, (of.number - 1) .. ":members"))
        if count > 0 then
            inputs = member_results(of.number - 1, count)
        elseif chain.state.again then
            before = redis.call("HGET", live, (of.number - 1) .. ".0:result")
        end
    end
    return {"go", tostring(task.token), task.attempt, inputs, before}
end

if task.status == "STARTED" or task.status == "RUNNING" then
    if task.worker == ARGV[7] and ARGV[12] ~= "" and task.delivery == ARGV[12] then
        return verdict()
    end
    local alive_for = redis.call("PTTL", ARGV[10] .. task.worker)
    if alive_for > 0 then
        return {"busy", alive_for}
    end
    task.deaths = (task.deaths or 0) + 1
end

-- After an outage a worker may begin before its lifeline has said again that it lives.
if ARGV[13] ~= "0" then
    redis.call("SET", ARGV[10] .. ARGV[7], 1, "EX", ARGV[13], "NX")
end
task.token, task.attempt = task.token + 1, task.attempt + 1
task.status, task.progress, task.worker = "STARTED", 1, ARGV[7]
task.task, task.actor, task.delivery = ARGV[4], ARGV[5], ARGV[12]
task.metadata, task.finished, task.due = nil, nil, nil
task.started, task.retries = task.started or now, task.retries or 0
local first = chain.state.status == "PENDING"
if first then
    chain.state.status, chain.state.started = "STARTED", now
end
local line = ""
if of.span.opening and chain.state.opened ~= of.number then
    chain.state.opened, line = of.number, quoted(of.span.opening)
end
show(chain_id, chain, of, task, now, ARGV[9], 0, line, {}, first)

return verdict()
