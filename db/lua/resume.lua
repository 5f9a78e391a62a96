-- resume: an ended chain goes on from a stage; what has succeeded there and before is kept, unless the
-- stage was asked for by number. A run of that stage goes on, one of a later stage is fenced: what it was given
-- is about to be made anew.
--
-- KEYS: live hash, status array, event stream, message stream, open chains
-- ARGV: chain id, now, status ttl, stage ("" = the first that is not SUCCESS), letter that the chain must have
--       in its batch ("" = whatever it has)
-- Returns: {"recorded", {indexes of the members to send, from 1}, stage}, {"closed", status} the chain has
--          not ended or has nothing left to do, {"unknown"}

-- include transition
local chain_id, now, ttl, asked, letter = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local COUNTER = {SUCCESS = "completed", FAILURE = "failed", REVOKED = "revoked"}

local text = redis.call("HGET", live, "state")
if not text then
    return {"unknown"}
end
local state = cjson.decode(text)
if not TERMINAL[state.status] or (asked == "" and state.status == "SUCCESS") then
    return {"closed", state.status}
end
local first = tonumber(asked) or state.current
if first > state.current then
    return {"closed", "stage " .. state.current .. " has not succeeded"}
end
local plan = cjson.decode(redis.call("HGET", live, "plan"))
local chain, current = read(first, 0)
if letter ~= "" then
    local _, batch, number = place_in_batch(chain)
    if not batch or redis.call("GETRANGE", batch .. ":items", number, number) ~= letter then
        return {"closed", state.status}
    end
end
chain.state = state
state.status, state.current, state.again = "STARTED", first, true
state.finished, state.error, state.published, state.opened = nil, nil, nil, nil
redis.call("HDEL", live, "final")
redis.call("PERSIST", live)
redis.call("PERSIST", messages)

local send = {}
for stage = first, chain.stages do
    local _, of = read(stage, 0)
    local last
    for member = (of.members > 0 and 1 or 0), of.members do
        local _, _, task = read(stage, member)
        last = task
        local kept = task.status == "SUCCESS" and asked == ""
        local runs = stage == first and (task.status == "STARTED" or task.status == "RUNNING")
        if not kept and not runs then
            if task.status ~= "PENDING" then
                local counter = COUNTER[task.status]
                if counter then
                    state[counter] = state[counter] - 1
                end
                local names = plan[stage].tasks[math.max(member, 1)]
                last = {
                    status = "PENDING", token = task.token + 1, attempt = task.attempt, started = task.started,
                    task = names.task_id, actor = names.task_name, place = task.place, member = member,
                }
                local task_text = encode_task(last)
                redis.call("HSET", live, last.place, task_text)
                redis.call("HDEL", live, last.place .. ":result")
                state.seq = state.seq + 1
                emit(chain_id, chain, cjson.encode(state), last, task_text, {})
            end
            if stage == first then
                send[#send + 1] = math.max(member, 1)
            end
        end
    end
    local entry, progress = entry_of(chain, of, last, now)
    set_share(state, of, progress)
    chain.array = with_entry(chain.array, stage, entry)
end
state.seq = state.seq + 1
local state_text = cjson.encode(state)
redis.call("HSET", live, "state", state_text)
write_array(chain.array, ttl)
if chain.keys then
    tell_readers(chain, current, now, ttl, ttl)
end
watch(chain_id)
local batch = tell_batch(chain, "p")
if batch and redis.call("HDEL", batch, "finished") == 1 then
    -- It is open again, however soon it ends; if it was revoked, it must not call this chain off.
    redis.call("HDEL", batch, "revoked", "ending")
    redis.call("PERSIST", batch)
    redis.call("PERSIST", batch .. ":items")
end
emit(chain_id, chain, state_text, nil, nil, {})
return {"recorded", send, first}
