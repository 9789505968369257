-- Store how far the journal has confirmed one partition, and drop generations no record can reach.
--
-- KEYS[1]  the partition's claims (see claims.lua)
-- ARGV     catalog, credits, usage   the acknowledged source vector: all below is in the journal
--          clock                     the running maximum of received_at below `usage`, microseconds
--          most                      buckets to free in this call
-- The vector never passes `through` and never goes back: each source keeps its furthest.

local meta = KEYS[1]
local usage, clock, most = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local stored = redis.call('HMGET', meta, 'through', 'vector', 'clock', 'width')
local through = tonumber(stored[1] or '')
if not through or through < usage then
  return redis.error_reply('CLAIMSBEHIND claimed through ' .. tostring(stored[1]) .. ', acknowledged to ' .. usage)
end
local vector, index = {ARGV[1], ARGV[2], ARGV[3]}, 0
for offset in string.gmatch(stored[2], '%d+') do
  index = index + 1
  if tonumber(offset) > tonumber(vector[index]) then vector[index] = offset end
end
local clock_text = ARGV[4]
if tonumber(stored[3]) > clock then clock, clock_text = tonumber(stored[3]), stored[3] end

local keep = math.floor(clock / tonumber(stored[4])) - 1
local fields = redis.call('HGETALL', meta)
redis.call('HSET', meta, 'clock', clock_text)
redis.call('HSET', meta, 'vector', table.concat(vector, ','))  -- never alone: see fold/store.lua

local function free(field, generation, text)
  local next, shape = string.match(text, '^(%d+)/(.*)$')
  next = tonumber(next)
  local segment, base = 0, 0
  for bits in string.gmatch(shape, '(%d+):') do
    segment = segment + 1
    local size = 2 ^ tonumber(bits)
    while next < base + size and most > 0 do
      redis.call('UNLINK', meta .. ':' .. generation .. ':' .. segment .. ':' .. (next - base))
      next, most = next + 1, most - 1
    end
    base = base + size
  end
  if next >= base then
    redis.call('HDEL', meta, field)
  else
    redis.call('HSET', meta, field, string.format('%d', next) .. '/' .. shape)
  end
end

for at = 1, #fields, 2 do
  local kind, generation = string.match(fields[at], '^([gd])(%-?%d+)$')
  local field, text = fields[at], fields[at + 1]
  if kind == 'g' and tonumber(generation) < keep then
    redis.call('HDEL', meta, field)
    kind, field, text = 'd', 'd' .. generation, '0/' .. text
    redis.call('HSET', meta, field, text)
  end
  if kind == 'd' and most > 0 then free(field, generation, text) end
end
return redis.status_reply('OK')
