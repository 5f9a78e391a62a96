-- post: a chain goes onto the board. Posting a chain that is there already changes nothing.
--
-- KEYS: live hash, status array, event stream, message stream, open chains
-- ARGV: chain id, status ttl, now, channel, facts (JSON), plan (JSON), then for each stage
--       title (JSON string), number of members (0 unless parallel), policy
-- Returns: {"recorded", "next"} or {"repeated"}

-- include transition
if redis.call("EXISTS", live) == 1 then
    return {"repeated"}
end
local chain_id, ttl, now = ARGV[1], ARGV[2], ARGV[3]
local state = cjson.decode(NEW_STATE)
local chain = {created = now, stages = (#ARGV - 6) / 3}
local fields = {"facts", ARGV[5], "plan", ARGV[6], "created", now, "channel", ARGV[4], "stages", chain.stages}
for stage = 1, chain.stages do
    local at = 4 + 3 * stage
    state.progress[stage] = 0
    for _, value in ipairs({stage .. ":title", ARGV[at], stage .. ":members", ARGV[at + 1],
        stage .. ":policy", ARGV[at + 2]}) do
        fields[#fields + 1] = value
    end
end
redis.call("HSET", live, "state", cjson.encode(state), unpack(fields))
for stage = 1, chain.stages do
    local at = 4 + 3 * stage
    local of = {number = stage, title = ARGV[at], members = tonumber(ARGV[at + 1]), policy = ARGV[at + 2]}
    redis.call("HSET", live, stage .. ":entry",
        (entry_of(chain_id, chain, of, {status = "PENDING", member = 0}, now)))
end
write_array(chain, ttl)
watch(chain_id)
return {"recorded", "next"}
