-- Make a rebuilt namespace the live one (architecture.md section 3, "rebuild beside running workers").
-- KEYS: 1 namespace pointer, 2 live position, 3 rebuilt position, 4 pointer of what is being built
-- ARGV: 1 live namespace, 2 rebuilt namespace, 3 and 4 the positions as they were read
-- Answers 'behind' when the live position has moved since: the rebuilt one must then catch up. The
-- rebuilt position must be at the same record: one ahead would skip outputs that nobody has written.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return redis.error_reply('FENCED the namespace pointer has moved')
end
if redis.call('GET', KEYS[4]) ~= ARGV[2] or redis.call('GET', KEYS[3]) ~= ARGV[4] then
  return redis.error_reply('FENCED another rebuild has taken this namespace')
end
if redis.call('GET', KEYS[2]) ~= ARGV[3] then return 'behind' end
if cjson.decode(ARGV[3]).offset ~= cjson.decode(ARGV[4]).offset then return 'behind' end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('DEL', KEYS[4])
return 'switched'
