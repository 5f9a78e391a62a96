-- post: a chain goes onto the board. Posting a chain that is there already changes nothing.
--
-- KEYS: live hash, status array, event stream, message stream, open chains
-- ARGV: chain id, status ttl, now, channel, facts (JSON), plan (JSON), keys for
--       readers of existing systems (JSON, "" = none), then for each stage title (JSON string), number of
--       members (0 unless parallel), policy, span (JSON object, "" = none)
-- Returns: {"recorded", "next"} or {"repeated"}

-- include transition
if redis.call("EXISTS", live) == 1 then
    return {"repeated"}
end
local chain_id, ttl, now = ARGV[1], ARGV[2], ARGV[3]
local chain = {created = now, stages = (#ARGV - 7) / 4, id = quoted(chain_id)}
local fields = {"id", chain.id, "facts", ARGV[5], "plan", ARGV[6], "created", now, "channel", ARGV[4],
    "stages", chain.stages}
local stages, entries = {}, {}
for number = 1, chain.stages do
    local at, key = 4 + 4 * number, whole(number)
    local title, members, policy = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    stages[number] = {number = number, key = key, title = title, members = tonumber(members), policy = policy,
        span = {}}
    for _, value in ipairs({key .. ":title", title, key .. ":members", members, key .. ":policy", policy}) do
        fields[#fields + 1] = value
    end
    if ARGV[at + 3] ~= "" then
        fields[#fields + 1], fields[#fields + 2] = key .. ":span", ARGV[at + 3]
    end
end
redis.call("HSET", live, "state", NEW_STATE, unpack(fields))
for number, of in ipairs(stages) do
    entries[number] = entry_of(chain, of, {status = "PENDING", member = 0}, now)
end
write_array("[" .. table.concat(entries, ",\n") .. "]", ttl)
watch(chain_id)
chain.facts = ARGV[5]
tell_batch(chain, "p")
if ARGV[7] ~= "" then
    redis.call("HSET", live, "keys", ARGV[7])
    chain.keys, chain.state = ARGV[7], cjson.decode(NEW_STATE)
    tell_readers(chain, stages[1], now, ttl, ttl)
end
return {"recorded", "next"}
