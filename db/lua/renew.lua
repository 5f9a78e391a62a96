-- renew: runs prove that they are alive. A lease that is gone is not given back.
--
-- KEYS: leases
-- ARGV: lease ttl (milliseconds), then the leases
-- Returns: the number of those renewed

local time = redis.call("TIME")
local until_ = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
local renewed = 0
for at = 2, #ARGV do
    if redis.call("ZSCORE", KEYS[1], ARGV[at]) then
        redis.call("ZADD", KEYS[1], until_, ARGV[at])
        renewed = renewed + 1
    end
end
return renewed
