-- batch_tell: how far a batch is, for those who follow it live; each state and percent once, newest reading wins.
--
-- KEYS: batch, message stream
-- ARGV: number of the reading, state and percent, message (JSON), channel, seconds that the stream is kept
-- Returns: 1 when the message went out, else 0

local told = redis.call("HMGET", KEYS[1], "told", "told_seq", "facts")
if not told[3] or told[1] == ARGV[2] or tonumber(told[2] or 0) >= tonumber(ARGV[1]) then
    return 0
end
redis.call("HSET", KEYS[1], "told", ARGV[2], "told_seq", ARGV[1])
redis.call("XADD", KEYS[2], "MAXLEN", "~", 1000, "*", "message", ARGV[3])
redis.call("EXPIRE", KEYS[2], ARGV[5])
redis.call("PUBLISH", ARGV[4], ARGV[3])
return 1
