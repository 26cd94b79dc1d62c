#!/bin/sh
# A database in a container, as the usual image has it: made at the first start, with the password of the environment.
set -eu
data=${PGDATA:-/tmp/data}
if [ ! -s "$data/PG_VERSION" ]; then
    printf '%s\n' "${POSTGRES_PASSWORD:?is missing}" > /tmp/password
    initdb --no-sync --username="${POSTGRES_USER:-postgres}" --pwfile=/tmp/password --auth=scram-sha-256 \
        --encoding=UTF8 --locale=C --pgdata="$data" > /tmp/initdb.log || {
        cat /tmp/initdb.log
        exit 1
    }
    rm /tmp/password
    echo "host all all all scram-sha-256" >> "$data/pg_hba.conf"
fi
exec postgres -D "$data" -c 'listen_addresses=*' -c unix_socket_directories=/tmp -c fsync=off -c jit=off "$@"
