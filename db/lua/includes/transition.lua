-- What every transition shares. KEYS[1] live hash, KEYS[2] status array, KEYS[3] event stream,
-- KEYS[4] stream of the chain's progress messages, KEYS[5] the open chains (sorted set: next look of the sweep).
--
-- Fields of the live hash, with S a stage's number and T a task, "S.M" (M is 0 for the only task of a
-- stage, from 1 for the members of a parallel one):
--   facts plan                      JSON, as start wrote it; facts goes into each event as it is
--   id created channel stages       single facts that scripts need; id: the chain's, as a JSON string
--   S:title S:members S:policy      of a stage: JSON string, number of members or 0, "fail" | "continue"
--   S:span                          JSON of a stage that says more of itself, see StagePlan.span in db/chains.py
--   state                           JSON object: the chain, see NEW_STATE (share: percent of the current
--                                   stage), and started finished error published (the state and percent
--                                   last told), opened (the stage whose opening line was told last), fence (the
--                                   token of what was restored), again (it was resumed or restored: what is
--                                   still on its way may be older); moments are strings
--   T                               JSON object: the task: status token attempt retries progress started
--                                   finished worker task actor metadata error; delivery: the
--                                   begin that took it, as its worker numbers them; deaths: how many workers
--                                   have died under it; due: millisecond at which its retry is due
--   T:result final                  JSON: what a task, and the chain, returned
--   keys                            JSON object, where the workflow has some (db/status_keys.py): the names of
--                                   the progress and status key, words by status, fields result and error
--   array                           the status array, one line for each stage: the key of the same content
--                                   that clients read expires while a chain waits for long

local live, array, stream, messages, open = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

-- Milliseconds after which the sweep looks at a chain that has moved onto the board.
local FIRST_LOOK = 15000

-- Seconds that a task of no chain is remembered while it waits or runs: longer than Dramatiq may delay a retry.
local LONE_TTL = 8 * 86400

-- Milliseconds in which the moves of a batch's chains gather before the batch is looked at.
local BATCH_PAUSE = 100
local BATCH_LETTER = {SUCCESS = "S", FAILURE = "F", REVOKED = "R"}

-- include basics
local NEW_STATE = '{"status":"PENDING","current":1,"seq":0,"completed":0,"failed":0,"revoked":0,"share":0}'

local function quoted(text)
    return (cjson.encode(text):gsub("\\/", "/"))
end

-- A whole number as text, for half of what tostring() takes.
local function whole(number)
    return string.format("%d", number)
end

-- A chain (or lone task) and one stage of it: everything that a transition reads, in one call. Nil when the
-- board does not know it. Numbers in names come as text (`of.key`): Lua is slow at printing numbers.
local function read(stage, member)
    local key = tostring(stage)
    local place = key .. "." .. member
    local found = redis.call("HMGET", live, "state", "facts", "created", "channel", "stages", "id",
        "array", key .. ":title", key .. ":members", place, key .. ":span", "keys")
    if not found[1] then
        return nil
    end
    local chain = {
        state = cjson.decode(found[1]), facts = found[2] or "", created = found[3] or "", channel = found[4],
        stages = tonumber(found[5]) or 1, id = found[6],
        array = found[7], keys = found[12],
    }
    local of = {
        number = tonumber(stage), key = key, title = found[8], members = tonumber(found[9]) or 0,
        span = found[11] and cjson.decode(found[11]) or {},
    }
    if of.members > 0 then
        of.policy = redis.call("HGET", live, key .. ":policy")
    end
    -- A chain that was restored has a fence: runs from before hold lower tokens, also of tasks forgotten since.
    local task = found[10] and cjson.decode(found[10])
        or {status = "PENDING", token = chain.state.fence or 0, attempt = 0}
    task.place, task.member = place, member
    return chain, of, task
end

local function read_tasks(stage, count)
    local places = {}
    for member = 1, count do
        places[member] = stage .. "." .. member
    end
    local found = redis.call("HMGET", live, unpack(places))
    local tasks = {}
    for member = 1, count do
        tasks[member] = found[member] and cjson.decode(found[member]) or {status = "PENDING"}
    end
    return tasks
end

local function tally(tasks)
    local counts = {PENDING = 0, STARTED = 0, RUNNING = 0, RETRY = 0, SUCCESS = 0, FAILURE = 0, REVOKED = 0}
    for _, task in ipairs(tasks) do
        counts[task.status] = counts[task.status] + 1
    end
    counts.ended = counts.SUCCESS + counts.FAILURE + counts.REVOKED
    return counts
end

-- One status and one progress for the members of a parallel stage. `weights`: how much each member counts.
local function summarise(tasks, policy, weights)
    local counts, sum, weight_sum = tally(tasks), 0, 0
    for member, task in ipairs(tasks) do
        local weight = weights and weights[member] or 1
        sum, weight_sum = sum + weight * (task.progress or 0), weight_sum + weight
    end
    local all_ended, status = counts.ended == #tasks, "PENDING"
    if counts.FAILURE > 0 and (policy ~= "continue" or (all_ended and counts.SUCCESS == 0)) then
        status = "FAILURE"
    elseif counts.REVOKED > 0 then
        status = "REVOKED"
    elseif all_ended then
        return "SUCCESS", 100
    elseif counts.RUNNING + counts.SUCCESS + counts.FAILURE > 0 then
        status = "RUNNING"
    elseif counts.STARTED > 0 then
        status = "STARTED"
    elseif counts.RETRY > 0 then
        status = "RETRY"
    end
    return status, math.floor(sum / weight_sum)
end

local function planned_tasks(stage)
    return cjson.decode(redis.call("HGET", live, "plan"))[tonumber(stage)].tasks
end

local function members_json(stage, tasks)
    local planned, parts = planned_tasks(stage), {}
    for i, task in ipairs(tasks) do
        parts[i] = '{"name":' .. quoted(planned[i].name) .. ',"process_status":"' .. task.status
            .. '","progress":' .. (task.progress or 0) .. "}"
    end
    return ',"members":[' .. table.concat(parts, ",") .. "]"
end

-- The stage's object in the status array, after `task` has moved. Returns it with the stage's percent.
local function entry_of(chain, of, task, now)
    local status, progress, more = task.status, task.progress or 0, ""
    if task.metadata and task.metadata ~= "{}" then
        more = "," .. task.metadata:sub(2, -2)
    end
    if of.members > 0 then
        local tasks = read_tasks(of.key, of.members)
        if tonumber(task.member) > 0 then
            tasks[tonumber(task.member)] = task
        end
        status, progress = summarise(tasks, of.policy, of.span.weights)
        more = more .. members_json(of.number, tasks)
    end
    return '{"chain_id":' .. chain.id .. ',"stage":' .. of.key .. ',"status":"'
        .. (TERMINAL[status] and status or "PENDING") .. '","progress":' .. whole(progress) .. ',"created_at":'
        .. chain.created .. ',"updated_at":' .. now .. ',"metadata":{"stage_name":' .. of.title .. more
        .. '},"process_status":"' .. status .. '"}', progress
end

-- The status array with another entry for a stage. Each entry is a line, so that none need be decoded.
local function with_entry(text, stage, entry)
    local from = 2
    for _ = 2, stage do
        from = text:find("\n", from, true) + 1
    end
    local line_end = text:find("\n", from, true)
    return text:sub(1, from - 1) .. entry .. text:sub(line_end and line_end - 1 or -1)
end

local function write_array(text, ttl)
    redis.call("HSET", live, "array", text)
    redis.call("SET", array, text, "EX", ttl)
end

-- `share` is what counts of the current stage; a member of another one, which goes on after a resume, counts
-- for nothing yet.
local function set_share(state, of, progress)
    if of.number == state.current then
        state.share = progress
    end
end

-- Clients poll until END or FAILED, so a revoked chain reads FAILED to them.
local AT_END = {SUCCESS = '"END"', FAILURE = '"FAILED"', REVOKED = '"FAILED"'}

-- Percent of the whole chain. Stages count alike unless they say from where to where each takes the run.
local function percent_of(chain, of)
    local state, span = chain.state, of.span
    if state.status == "SUCCESS" then
        return 100
    elseif not span.to then
        return ((state.current - 1) * 100 + state.share) / chain.stages
    elseif state.current > of.number then
        return math.floor(span.to * 100 + 0.5)
    elseif state.current < of.number then
        span = cjson.decode(redis.call("HGET", live, whole(state.current) .. ":span"))
    end
    return math.floor(100 * span.from + (span.to - span.from) * state.share + 0.5)
end

-- Writes the keys by which readers of existing systems see the chain, which has some.
-- final: JSON, what it returned, where the live hash does not have it yet.
local function tell_readers(chain, of, now, ttl, final_ttl, final)
    local keys, state = cjson.decode(chain.keys), chain.state
    local ended = TERMINAL[state.status]
    local text = '"status":' .. quoted(keys.words[state.status])
    if keys.progress then
        redis.call("SET", keys.progress, '{"progress":' .. whole(percent_of(chain, of)) .. "," .. text
            .. ',"step":' .. of.title .. ',"updated_at":' .. now .. "}", "EX", ended and final_ttl or ttl)
    end
    if not keys.status then
        return
    end
    if not ended then
        redis.call("DEL", keys.status)
        return
    end
    if state.status ~= "SUCCESS" then
        text = text .. "," .. quoted(keys.error) .. ":" .. quoted(state.error or "")
    else
        final = final or redis.call("HGET", live, "final") or "null"
        if keys.result ~= "" then
            text = text .. "," .. quoted(keys.result) .. ":" .. final
        elseif final:find("^{[^}]") then
            -- Behind them: a field of the result that has its name must not hide it.
            text = final:sub(2, -2) .. "," .. text
        end
    end
    redis.call("SETEX", keys.status, final_ttl, "{" .. text .. "}")
end

-- Sends a progress message when the state changed, a whole percent was made, or there is a log line.
local function publish(chain, of, log)
    local state = chain.state
    local percent = percent_of(chain, of)
    if state.status == "SUCCESS" and log == "" and of.span.closing then
        log = quoted(of.span.closing)
    end
    local shown = AT_END[state.status] or of.title
    local mark = (AT_END[state.status] and state.status or of.key) .. " " .. whole(percent)
    if mark == state.published and log == "" then
        return
    end
    state.published = mark
    local message = '{"run_id":' .. chain.id .. ',"state":' .. shown .. ',"progress":'
        .. string.format("%.4g", percent / 100) .. (log ~= "" and ',"log":' .. log or "") .. "}"
    redis.call("XADD", messages, "MAXLEN", "~", "1000", "*", "message", message)
    redis.call("PUBLISH", chain.channel, message)
end

local function encode_task(task)
    local place, member = task.place, task.member
    task.place, task.member = nil, nil
    local text = cjson.encode(task)
    task.place, task.member = place, member
    return text
end

-- Appends what moved, for the ledger: the full state of the task, and of the chain where `state` is given.
-- `more` holds what is not kept in either: result, traceback, final.
local function emit(chain_id, chain, state, task, task_text, more)
    local seq, event = whole(chain.state.seq), nil
    if state and task then
        event = {"chain", chain_id, "seq", seq, "facts", chain.facts, "state", state,
            "place", task.place, "task", task_text}
    elseif state then
        event = {"chain", chain_id, "seq", seq, "facts", chain.facts, "state", state}
    else
        event = {"chain", chain_id, "seq", seq, "place", task.place, "task", task_text}
    end
    for name, value in pairs(more) do
        event[#event + 1], event[#event + 2] = name, value
    end
    redis.call("XADD", stream, "*", unpack(event))
end

local function end_chain(chain, status, now, error)
    chain.state.status, chain.state.finished, chain.state.error = status, now, error
end

-- A chain that is item N of a batch has the id "<batch>.N", and its letter stands at N in the batch's string of
-- items. Counts are read from that string, so what is told twice counts once. The keys are those of db/keys.py.
-- Returns the batch's id, its key and N; nil for a chain of no batch.
local function place_in_batch(chain)
    local batch_id = chain.facts:match('"batch":"([^"]+)"')
    if not batch_id or chain.id:sub(2, #batch_id + 2) ~= batch_id .. "." then
        return nil
    end
    local number = chain.id:match('^(%d+)"$', #batch_id + 3)
    if not number or #number > 6 then
        return nil
    end
    return batch_id, open:sub(1, -#"open" - 1) .. "batch:" .. batch_id, number
end

-- Returns the batch's key, nil for a chain of no batch.
local function tell_batch(chain, letter)
    local batch_id, batch, number = place_in_batch(chain)
    if not batch_id then
        return nil
    end
    redis.call("SETRANGE", batch .. ":items", number, letter)
    redis.call("ZADD", open:sub(1, -#"open" - 1) .. "batches", "LT", milliseconds() + BATCH_PAUSE, batch_id)
    return batch
end

-- A task of no chain is remembered for a while after each of its moves. Nothing follows it, so that nobody would
-- find what it left behind.
local function keep_lone(chain_id)
    if chain_id == "" then
        redis.call("EXPIRE", live, LONE_TTL)
    end
end

-- Writes a task's transition and shows it to everyone: live state, array, message, event.
-- ttl: of the array; final_ttl: how long an ended chain stays; log: JSON string or ""; more: see emit;
-- chain_moved: whether the chain's status or counters changed, too.
local function show(chain_id, chain, of, task, now, ttl, final_ttl, log, more, chain_moved)
    local state = chain.state
    local task_text = encode_task(task)
    state.seq = state.seq + 1
    local fields = {task.place, task_text}
    if more.result then
        fields[#fields + 1], fields[#fields + 2] = task.place .. ":result", more.result
    end
    if more.final then
        fields[#fields + 1], fields[#fields + 2] = "final", more.final
    end
    if chain_id ~= "" then
        local entry, progress = entry_of(chain, of, task, now)
        set_share(state, of, progress)
        local text = with_entry(chain.array, of.number, entry)
        fields[#fields + 1], fields[#fields + 2] = "array", text
        redis.call("SET", array, text, "EX", ttl)
        publish(chain, of, log)
        if chain.keys then
            tell_readers(chain, of, now, ttl, final_ttl, more.final)
        end
    end
    local state_text = cjson.encode(state)
    redis.call("HSET", live, "state", state_text, unpack(fields))
    keep_lone(chain_id)
    emit(chain_id, chain, chain_moved and chain_id ~= "" and state_text, task, task_text, more)
    if TERMINAL[state.status] then
        redis.call("EXPIRE", live, final_ttl)
        redis.call("EXPIRE", messages, final_ttl)
        redis.call("ZREM", open, chain_id)
        tell_batch(chain, BATCH_LETTER[state.status])
    end
end

-- The metadata of a run that somebody else ends, with the seconds that it took.
local function timed(metadata, seconds)
    local before = metadata and metadata ~= "{}" and metadata:sub(1, -2) .. "," or "{"
    return before .. string.format('"execution_time":%.3f}', seconds)
end

-- A task goes back to waiting before it has ended; the run that had it is fenced.
local function let_go(task, metadata)
    task.status, task.metadata, task.token, task.progress = "PENDING", metadata, task.token + 1, 0
end

local function watch(chain_id)
    redis.call("ZADD", open, milliseconds() + FIRST_LOOK, chain_id)
end

-- What to tell a run that may not: it said the same before, or another has taken over.
local function refusal(task, token, said)
    return {task.token == tonumber(token) and task.status == said and "repeated" or "stale"}
end

-- The results of a stage's members as a JSON list, in order; a failed member leaves an entry that says so.
-- `own` stands for the result of the task that is just ending.
local function member_results(stage, count, task, own)
    local tasks, wanted, planned = read_tasks(stage, count), {}, nil
    for member = 1, count do
        wanted[member] = stage .. "." .. member .. ":result"
    end
    local results = redis.call("HMGET", live, unpack(wanted))
    if task then
        tasks[tonumber(task.member)], results[tonumber(task.member)] = task, own
    end
    for member = 1, count do
        if tasks[member].status ~= "SUCCESS" then
            planned = planned or planned_tasks(stage)
            results[member] = '{"failed":' .. quoted(planned[member].name) .. ',"error":'
                .. quoted(tasks[member].error or "") .. "}"
        end
    end
    return "[" .. table.concat(results, ",") .. "]"
end

-- After a task has ended well enough for its stage: is the stage complete, and what comes next?
-- Returns "next" when the successor is to be sent, "end" when the chain has succeeded (its result is then in
-- `more.final`), else "wait".
local function close_stage(chain, of, task, now, more)
    local state = chain.state
    if TERMINAL[state.status] or state.current ~= of.number then
        return "wait"
    end
    if of.members > 0 then
        local tasks = read_tasks(of.number, of.members)
        tasks[tonumber(task.member)] = task
        local counts = tally(tasks)
        if counts.ended < of.members or counts.SUCCESS == 0 then
            return "wait"
        end
    end
    if of.number < chain.stages then
        state.current, state.share = of.number + 1, 0
        return "next"
    end
    end_chain(chain, "SUCCESS", now, nil)
    more.final = more.result
    if of.members > 0 then
        more.final = member_results(of.number, of.members, task, more.result)
    end
    return "end"
end
