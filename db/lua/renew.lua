-- renew: runs prove that they are alive. A run that has lost its task is not helped.
--
-- KEYS: live hashes, one for each run
-- ARGV: lease ttl (milliseconds), then for each run: place, token
-- Returns: the number of leases renewed

local time = redis.call("TIME")
local lease = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
local renewed = 0
for i, live in ipairs(KEYS) do
    local place, token = ARGV[2 * i], ARGV[2 * i + 1]
    local text = redis.call("HGET", live, place)
    local task = text and cjson.decode(text)
    if task and task.token == tonumber(token) and (task.status == "STARTED" or task.status == "RUNNING") then
        task.lease = lease
        redis.call("HSET", live, place, cjson.encode(task))
        renewed = renewed + 1
    end
end
return renewed
