-- retire: recorders that have been silent for long and hold no event leave their group. One that holds events
-- stays: with it they would be lost to those who claim.
--
-- KEYS: event stream
-- ARGV: group, milliseconds of silence, "1" to count only
-- Returns: the milliseconds of silence of each that has left

local consumers = redis.pcall("XINFO", "CONSUMERS", KEYS[1], ARGV[1])
if consumers.err then  -- no stream, or no group yet
    return {}
end
local left = {}
for _, facts in ipairs(consumers) do
    local consumer = {}
    for at = 1, #facts, 2 do
        consumer[facts[at]] = facts[at + 1]
    end
    if consumer.pending == 0 and consumer.idle >= tonumber(ARGV[2]) then
        if ARGV[3] ~= "1" then
            redis.call("XGROUP", "DELCONSUMER", KEYS[1], ARGV[1], consumer.name)
        end
        left[#left + 1] = consumer.idle
    end
end
return left
