-- Rows and position of one stage in one partition, committed together (architecture.md section 3, rule 3).
-- KEYS: 1 namespace pointer, 2 position, 3 rows (hash), 4 due index (sorted set, lexicographic)
-- ARGV: 1 operation, 2 namespace, 3 expected position, then the operation's own.
-- Lua has no rollback: everything is compared before the first write, the position is written last.
--
-- A script that writes once stands in the append-only file as that write, one that writes more as a transaction.
-- Some Redis drop the transactions, and only these, when they load the file (redis/redis#14541, valkey-io/valkey#3983).
-- So what says how far a fold has come is never written alone: it comes back with its rows, or neither does.
local operation, namespace, expected = ARGV[1], ARGV[2], ARGV[3]
local CHUNK = 4000

if redis.call('GET', KEYS[1]) ~= namespace then
  return redis.error_reply('FENCED the namespace pointer has moved')
end
local current = redis.call('GET', KEYS[2]) or ''

if operation == 'commit' then
  local target = ARGV[4]
  if current == target then return 'already' end
  if current ~= expected then return redis.error_reply('FENCED position is ' .. current) end
  local at = 5
  for _, command in ipairs({'HSET', 'HDEL', 'ZREM', 'ZADD'}) do
    local count = tonumber(ARGV[at])
    local last = at + count
    local key = string.sub(command, 1, 1) == 'H' and KEYS[3] or KEYS[4]
    for from = at + 1, last, CHUNK do
      redis.call(command, key, unpack(ARGV, from, math.min(from + CHUNK - 1, last)))
    end
    at = last + 1
  end
  for _ = 1, 2 do redis.call('SET', KEYS[2], target) end  -- twice: not alone, where no row changed
  return 'committed'
end

if current ~= expected then return redis.error_reply('FENCED position is ' .. current) end

if operation == 'read' then
  local rows = {}
  for from = 4, #ARGV, CHUNK do
    local part = redis.call('HMGET', KEYS[3], unpack(ARGV, from, math.min(from + CHUNK - 1, #ARGV)))
    for i = 1, #part do rows[#rows + 1] = part[i] end
  end
  return rows
end
if operation == 'due' then
  return redis.call('ZRANGEBYLEX', KEYS[4], '-', '(' .. ARGV[4])
end
return redis.error_reply('unknown operation ' .. operation)
