-- fail: a task has failed for good. Its chain fails with it, unless the stage may go on without the member.
--
-- KEYS: live hash, status array, event stream, message stream, open chains
-- ARGV: chain id, stage, member, token, now, status ttl, final ttl, metadata (JSON object), error,
--       traceback, chain error, log (JSON string)
-- Returns: {"recorded", "next" | "end" | "wait"}, {"repeated"}, {"stale"}

-- include transition
local now = ARGV[5]
local chain, of, task = read(ARGV[2], ARGV[3])
if not chain then
    return {"stale"}
end
if not holds(task, ARGV[4]) then
    return refusal(task, ARGV[4], "FAILURE")
end
task.status, task.finished, task.metadata, task.error = "FAILURE", now, ARGV[8], ARGV[9]
chain.state.failed = chain.state.failed + 1

local goes_on = false
if of.members > 0 and of.policy == "continue" then
    local tasks = read_tasks(of.number, of.members)
    tasks[tonumber(task.member)] = task
    local counts = tally(tasks)
    goes_on = counts.ended < of.members or counts.SUCCESS > 0
end
local fire, more = "wait", {traceback = ARGV[10]}
if goes_on then
    fire = close_stage(chain, of, task, now, more)
elseif not TERMINAL[chain.state.status] then
    end_chain(chain, "FAILURE", now, ARGV[11])
end
show(ARGV[1], chain, of, task, now, ARGV[6], ARGV[7], ARGV[12], more, true)
return {"recorded", fire}
