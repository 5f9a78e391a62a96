-- reclaim: the un-acked messages of a dead worker go back to their queues.
--
-- KEYS: the broker's namespace
-- ARGV: the id under which the worker fetched, then queues
-- Returns: how many went back
--
-- As Dramatiq's own maintenance does once a heartbeat is old, but for a worker that is known to be dead.

local namespace, worker = KEYS[1], ARGV[1]
local count = 0
for at = 2, #ARGV do
    local acks = namespace .. ":__acks__." .. worker .. "." .. ARGV[at]
    local queue = namespace .. ":" .. ARGV[at]
    for _, id in ipairs(redis.call("SMEMBERS", acks)) do
        if redis.call("HEXISTS", queue .. ".msgs", id) == 1 then
            redis.call("RPUSH", queue, id)
            count = count + 1
        end
    end
    redis.call("DEL", acks)
end
return count
