-- progress: a running task reports.
--
-- KEYS: live hash, status array, event stream, message stream, open chains
-- ARGV: chain id, stage, member, token, now, status ttl, percent ("" leaves it), metadata (JSON object),
--       log (JSON string or ""), final ttl
-- Returns: "go", or "stale" when another run has taken over or the chain has ended: the body should stop

-- include transition
local chain_id, now, ttl = ARGV[1], ARGV[5], ARGV[6]
local chain, of, task = read(ARGV[2], ARGV[3])
if not chain or not holds(task, ARGV[4]) then
    return "stale"
end
if TERMINAL[chain.state.status] then
    -- Another member has failed the chain. The run ends without a word more: what is left in its hands here
    -- would count as owned for as long as its worker lives, also once the chain is resumed.
    let_go(task, timed(ARGV[8], now - task.started))
    show(chain_id, chain, of, task, now, ttl, ARGV[10], ARGV[9], {}, false)
    return "stale"
end
local first = task.status == "STARTED"
task.status, task.metadata = "RUNNING", ARGV[8]
task.progress = math.max(task.progress, tonumber(ARGV[7]) or 0)
if first then
    show(chain_id, chain, of, task, now, ttl, ttl, ARGV[9], {}, false)
elseif chain_id == "" then
    redis.call("HSET", live, task.place, encode_task(task))
    keep_lone(chain_id)
else
    -- Only the first report changes what the ledger keeps.
    local entry, progress = entry_of(chain, of, task, now)
    set_share(chain.state, of, progress)
    publish(chain, of, ARGV[9])
    if chain.keys then
        tell_readers(chain, of, now, ttl, ttl)
    end
    redis.call("HSET", live, "state", cjson.encode(chain.state), task.place, encode_task(task))
    write_array(with_entry(chain.array, of.number, entry), ttl)
end
return "go"
