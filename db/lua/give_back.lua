-- give_back: a worker that shuts down lets a task go before it has ended. The run is fenced.
--
-- KEYS: live hash, status array, event stream, message stream, open chains
-- ARGV: chain id, stage, member, token, now, status ttl, final ttl, metadata (JSON object)
-- Returns: {"recorded"}, {"stale"} the run has lost the task

-- include transition
local chain, of, task = read(ARGV[2], ARGV[3])
if not chain or not holds(task, ARGV[4]) then
    return {"stale"}
end
let_go(task, ARGV[8])
show(ARGV[1], chain, of, task, ARGV[5], ARGV[6], ARGV[7], "", {}, false)
return {"recorded"}
