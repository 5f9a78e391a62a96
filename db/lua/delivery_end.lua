-- delivery_end: what became of deliveries. One that is known as sent stays so, whoever else tells of it.
--
-- KEYS: deliveries of a chain
-- ARGV: seconds to keep the record, then message id and delivery (JSON object) in turn
-- Returns: nothing

for index = 2, #ARGV, 2 do
    local known = redis.call("HGET", KEYS[1], ARGV[index])
    if not known or cjson.decode(known).status ~= "sent" then
        redis.call("HSET", KEYS[1], ARGV[index], ARGV[index + 1])
    end
end
redis.call("EXPIRE", KEYS[1], ARGV[1])
