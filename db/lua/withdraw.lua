-- withdraw: the undo of a post whose messages may not have gone out. The chain leaves the board unless a task of
-- it has begun.
--
-- KEYS: live hash, status array, event stream, message stream, open chains
-- ARGV: chain id
-- Returns: 1 when it has begun and stays, 0 when it is not on the board (any more)

-- include transition
local found = redis.call("HMGET", live, "state", "keys")
if not found[1] then
    return 0
elseif found[1] ~= NEW_STATE then
    return 1
end
local progress_key = found[2] and cjson.decode(found[2]).progress
if progress_key then
    redis.call("DEL", progress_key)
end
redis.call("UNLINK", live, array, messages)
redis.call("ZREM", open, ARGV[1])
return 0
