#!/bin/sh
# Makes what is secret, once, each in the volume of whom it is for. What is there already stays, so
# it is safe to run again; nothing of it is ever in the repository or in an environment.
set -eu
umask 077

secret() { # secret FILE: 256 random bits, unless it is there
  [ -s "$1" ] || { head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n' >"$1.new"; mv "$1.new" "$1"; }
}

roles="worker reader api webhooks exporter"
for role in $roles; do secret "/secrets/$role/redis"; done
secret /secrets/grafana/admin
secret /secrets/redis/admin
# Redis and Grafana run as users of their own: their volumes are mounted nowhere else.
chmod 0444 /secrets/grafana/admin /secrets/redis/admin
{
  # Nobody can log in as it, but Redis loads its own file as this user, and drops the transactions
  # that the user may not run (redis/redis#14541).
  echo "user default off resetpass ~* &* +@all"
  for role in $roles; do
    drawdown acl redis --role "$role" --password-file "/secrets/$role/redis"
  done
  # For people, in Redis's own container: backups, its memory, what is slow.
  echo "user admin on #$(sha256sum /secrets/redis/admin | cut -d ' ' -f 1) ~* &* +@all"
  # Redis's own health check: PING, and nothing that could be read.
  echo "user health on nopass resetkeys resetchannels -@all +ping"
} >/secrets/redis/users.acl.new
chmod 0444 /secrets/redis/users.acl.new
mv /secrets/redis/users.acl.new /secrets/redis/users.acl
# The gateway takes nothing without a key: `drawdown keys create` adds them here.
[ -s /secrets/keys/keys.json ] || echo '{"keys": []}' >/secrets/keys/keys.json
# The dispatcher reads its file from the first: `drawdown subscriptions add` adds to it.
[ -s /secrets/subscriptions/subscriptions.json ] || echo '{"subscriptions": []}' >/secrets/subscriptions/subscriptions.json
