-- batch_release: chunks are released, unless somebody else has done so or the batch was revoked.
--
-- KEYS: batch
-- ARGV: number of chunks released so far, number from now on
-- Returns: 1 when the caller is to send them, else 0

local found = redis.call("HMGET", KEYS[1], "released", "revoked")
if found[1] ~= ARGV[1] or found[2] then
    return 0
end
redis.call("HSET", KEYS[1], "released", ARGV[2])
return 1
