-- delivery_begin: a run is about to deliver one message of its chain's list.
--
-- KEYS: live hash, deliveries of the chain
-- ARGV: place of the task ("S.M"), token, message id, the delivery (JSON object), seconds to keep the record
-- Returns: "go"; "sent" when it has been delivered before; "stale" when the run has lost its task: another has
--          taken over, or the chain was revoked, or the board has forgotten it

-- include basics
local found = redis.call("HMGET", KEYS[1], "state", ARGV[1])
if not found[1] or not found[2] then
    return "stale"
end
if TERMINAL[cjson.decode(found[1]).status] or not holds(cjson.decode(found[2]), ARGV[2]) then
    return "stale"
end
local known = redis.call("HGET", KEYS[2], ARGV[3])
if known and cjson.decode(known).status == "sent" then
    return "sent"
end
redis.call("HSET", KEYS[2], ARGV[3], ARGV[4])
redis.call("EXPIRE", KEYS[2], ARGV[5])
return "go"
