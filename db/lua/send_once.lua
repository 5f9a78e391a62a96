-- send_once: lets messages go that no other call has let go of late.
--
-- KEYS: mark of the messages, and four that are not used (a hand-over has five)
-- ARGV: seconds that the mark stays
-- Returns: {"recorded", "next"} or {"repeated"}

if redis.call("SET", KEYS[1], 1, "NX", "EX", ARGV[1]) then
    return {"recorded", "next"}
end
return {"repeated"}
