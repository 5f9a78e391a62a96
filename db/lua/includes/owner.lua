-- What a task may be owned by. A task of a chain that has not ended must have one of these: a run whose worker
-- is alive, a message in a queue, or, where queues cannot be looked into, a due time. Needs basics.

-- life: key of a worker's life without the worker's id. queues: namespace of the queues in Redis, where a
-- chain's message has the task's id; "" where they are elsewhere. planned: the task in the chain's plan.
local function is_owned(task, planned, life, queues, moment)
    if (task.status == "STARTED" or task.status == "RUNNING")
        and redis.call("EXISTS", life .. task.worker) == 1 then
        return true
    end
    if queues == "" then
        -- Past its due time it may be on its way for a while.
        return (task.due or 0) + 60000 > moment
    end
    local queue = queues .. ":" .. planned.queue_name
    return redis.call("HEXISTS", queue .. ".msgs", planned.task_id) == 1
        or redis.call("HEXISTS", queue .. ".DQ.msgs", planned.task_id) == 1
end

-- The members (0 for the only task) of a stage that have not ended and that nobody owns. Takes the parts of a
-- live hash: the plan's stage, and a function that reads a task by its member.
local function unowned(stage, task_of, life, queues, moment)
    local found = {}
    for index, planned in ipairs(stage.tasks) do
        local member = stage.parallel and index or 0
        local task = task_of(member)
        if not TERMINAL[task.status] and not is_owned(task, planned, life, queues, moment) then
            found[#found + 1] = member
        end
    end
    return found
end
