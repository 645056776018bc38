-- One step on the shared state; PROTOCOL.md explains why the limit holds. The state is one sorted set,
-- so it exists or is lost as a whole. A slot is scored by the time at which it is free again. Every
-- other member has a negative score, which is a time negated:
--   epoch:<id>            the identity of this state, and when it was created
--   run:<run_id>          the server process that it was created in
--   seen                  the latest step
--   vouched               the latest step of a process that shares the limit exactly
--   open                  an epoch that some process has known for a whole window
--   contested             an epoch whose predecessor was still in use when it was lost
--   pace                  when the next request is due, were they spread evenly (GCRA)
--   ticket:<n>:<process>  a process that was refused: the n-th in the queue, and when it is due
-- Times are the server's, in microseconds since 1970, which a double holds exactly.

local key, action, process, known, fresh = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local standing, contests, jumps_queue = ARGV[5], ARGV[6] == '1', ARGV[7] == '1'
local limit, interval, tolerance = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local lease, hold, turn = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
local gap, skew, returned = tonumber(ARGV[14]), tonumber(ARGV[15]), tonumber(ARGV[16])
-- Then the ids of slots that were given back, then pairs of a slot and how long it is not free. The
-- first pair of a take is the slot to be taken.
local first_returned = 17
local first_slot = first_returned + returned

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)')
if not run then
  return redis.error_reply('NOINFO the user may not run INFO')
end

local epoch, epoch_run, marks, tickets = nil, nil, {}, {}
local stored = redis.call('ZRANGEBYSCORE', key, '-inf', '(0', 'WITHSCORES')
for index = 1, #stored, 2 do
  local member, time = stored[index], -tonumber(stored[index + 1])
  local number, owner = string.match(member, '^ticket:(%d+):(%w+)$')
  if number then
    if time + turn < now or time > now + lease then
      redis.call('ZREM', key, member)
    else
      tickets[#tickets + 1] =
        { number = tonumber(number), owner = owner, due = time, member = member }
    end
  else
    local name, value = string.match(member, '^(%a+):?(%w*)$')
    marks[name] = time
    if name == 'epoch' then epoch = value end
    if name == 'run' then epoch_run = value end
  end
end

local function mark(name)
  marks[name] = now
  redis.call('ZADD', key, -now, name)
end

-- Starts a new epoch. Slots are kept where the clock is still the one that they were scored by.
local function renew(keeps_slots)
  if keeps_slots then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', '(0')
    redis.call('ZREMRANGEBYSCORE', key, '(' .. string.format('%.0f', now + lease), '+inf')
  else
    redis.call('DEL', key)
  end
  epoch, marks, tickets = fresh, {}, {}
  redis.call('ZADD', key, -now, 'epoch:' .. fresh, -now, 'run:' .. run)
end

if not epoch or epoch_run ~= run then
  renew(true)
elseif now < (marks.seen or now) - skew or (action == 'distrust' and known == epoch) then
  renew(false)
  mark('contested')
end
local vouched = marks.open and (marks.vouched or 0) + gap >= now

redis.call('ZREMRANGEBYSCORE', key, 0, now)
for index = first_returned, first_slot - 1 do
  if redis.call('ZREM', key, ARGV[index]) == 1 then
    marks.pace = math.max((marks.pace or now) - interval, now)
    redis.call('ZADD', key, -marks.pace, 'pace')
  end
end
local first_known = action == 'take' and first_slot + 2 or first_slot
for index = first_known, #ARGV, 2 do
  redis.call('ZADD', key, now + ARGV[index + 1], ARGV[index])
end

mark('seen')
local is_same = known == epoch
if is_same and standing == 'exact' then
  mark('vouched')
  mark('open')
elseif not is_same and contests then
  mark('contested')
end
redis.call('PEXPIRE', key, math.max(3600000, math.ceil(lease / 1000)))

local function answer(word, wait)
  return { word, epoch, now, wait, marks.open and 1 or 0, vouched and 1 or 0 }
end

if not is_same then
  return answer('other', 0)
end
if action ~= 'take' then
  return answer('kept', 0)
end
if standing ~= 'exact' and marks.contested and not marks.open then
  return answer('closed', 0)
end
local slot = ARGV[first_slot]
if redis.call('ZSCORE', key, slot) then
  -- The answer to the first try was lost with its connection.
  return answer('taken', 0)
end

local mine, ahead, blocking, last = nil, 0, 0, 0
for _, ticket in ipairs(tickets) do
  if ticket.owner == process then mine = ticket end
  last = math.max(last, ticket.number)
end
if not jumps_queue then
  for _, ticket in ipairs(tickets) do
    if ticket ~= mine and (not mine or ticket.number < mine.number) then
      ahead = ahead + 1
      -- One that is due much later does not know of a slot that was given back since.
      if ticket.due <= now + interval + turn then blocking = blocking + 1 end
    end
  end
end

local free = now
local used = redis.call('ZCOUNT', key, 0, '+inf')
if used >= limit then
  local next = redis.call('ZRANGEBYSCORE', key, 0, '+inf', 'WITHSCORES', 'LIMIT', used - limit, 1)
  -- The slot of a request that is over now would be free then.
  free = math.min(tonumber(next[2]), now + hold)
end
local pace = math.max(marks.pace or now, now)
local earliest = math.max(free, pace - tolerance)
if earliest > now or blocking > 0 then
  local due = earliest + ahead * interval
  if not jumps_queue then
    -- Its place in the queue stays, whatever the time.
    local member = mine and mine.member or string.format('ticket:%d:%s', last + 1, process)
    redis.call('ZADD', key, -due, member)
  end
  return answer('wait', due - now)
end
if mine and not jumps_queue then
  redis.call('ZREM', key, mine.member)
end
redis.call('ZADD', key, now + ARGV[first_slot + 1], slot, -(pace + interval), 'pace')
return answer('taken', 0)
