-- publish: a progress message sent by hand, kept in the stream as those of the transitions are.
--
-- KEYS: live hash, status array, event stream, message stream, open chains
-- ARGV: message, channel for a run that the board does not know, seconds that its stream is kept then
-- Returns: nothing

local live, messages = KEYS[1], KEYS[4]
redis.call("XADD", messages, "MAXLEN", "~", 1000, "*", "message", ARGV[1])
local left = redis.call("TTL", live)
if left ~= -1 then
    redis.call("EXPIRE", messages, left > 0 and left or ARGV[3])
end
redis.call("PUBLISH", redis.call("HGET", live, "channel") or ARGV[2], ARGV[1])
