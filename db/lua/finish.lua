-- finish: a task has succeeded.
--
-- KEYS: live hash, status array, event stream, message stream, open chains
-- ARGV: chain id, stage, member, token, now, status ttl, final ttl, metadata (JSON object), result (JSON)
-- Returns: {"recorded", "next" | "end" | "wait"}, {"repeated"} the same run has said so before,
--          {"stale"} another run has taken over

-- include transition
local chain_id, now = ARGV[1], ARGV[5]
local chain, of, task = read(ARGV[2], ARGV[3])
if not chain then
    return {"stale"}
end
if not holds(task, ARGV[4]) then
    return refusal(task, ARGV[4], "SUCCESS")
end
task.status, task.progress, task.finished, task.metadata, task.error = "SUCCESS", 100, now, ARGV[8], nil
chain.state.completed = chain.state.completed + 1
local more = {result = ARGV[9]}
local fire = close_stage(chain, of, task, now, more)
show(chain_id, chain, of, task, now, ARGV[6], ARGV[7], "", more, true)
return {"recorded", fire}
