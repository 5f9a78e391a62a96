-- overlooked: the sweep's look at the open chains whose turn it is.
--
-- KEYS: open chains
-- ARGV: live key without the chain's id, key of a worker's life without the worker's id, namespace of the
--       queues ("" = they are not in Redis), milliseconds until the next look, most chains to look at
-- Returns: the ids of chains of which a task has no owner, or of which the board knows nothing; then how many
--          were looked at

-- include basics
-- include owner
local open, life, queues = KEYS[1], ARGV[2], ARGV[3]
local moment, answer = milliseconds(), {}
local due = redis.call("ZRANGEBYSCORE", open, "-inf", moment, "LIMIT", 0, ARGV[5])
for _, chain_id in ipairs(due) do
    local live = ARGV[1] .. chain_id
    local found = redis.call("HMGET", live, "state", "plan")
    local state = found[1] and cjson.decode(found[1])
    if state and TERMINAL[state.status] then
        redis.call("ZREM", open, chain_id)
    else
        redis.call("ZADD", open, moment + ARGV[4], chain_id)
        local function task_of(member)
            local text = redis.call("HGET", live, state.current .. "." .. member)
            return text and cjson.decode(text) or {status = "PENDING"}
        end
        if not state
            or #unowned(cjson.decode(found[2])[state.current], task_of, life, queues, moment) > 0 then
            answer[#answer + 1] = chain_id
        end
    end
end
answer[#answer + 1] = #due
return answer
