-- bury: a dead worker is forgotten and its recorder leaves the group, unless that holds events: another recorder
-- claims them from one that is known to be dead.
--
-- KEYS: registry of workers, event stream
-- ARGV: group, the worker's id, "1" to ask only
-- Returns: whether it holds none

local held = redis.pcall("XPENDING", KEYS[2], ARGV[1], "-", "+", 1, ARGV[2])
local group_exists = not held.err
if group_exists and #held > 0 then
    return 0
end
if ARGV[3] ~= "1" then
    redis.call("HDEL", KEYS[1], ARGV[2])
    if group_exists then
        redis.call("XGROUP", "DELCONSUMER", KEYS[2], ARGV[1], ARGV[2])
    end
end
return 1
