#!/bin/sh
# Runs once, when the cluster of docker-compose.yml is made: a role and a database for each side.
# The passwords are read by psql itself, so that no process has one among its arguments.
set -eu
for side in gitlab registry; do
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<END
\set password \`cat /run/secrets/postgres/${side}_password\`
CREATE ROLE $side LOGIN PASSWORD :'password';
CREATE DATABASE $side OWNER $side;
REVOKE CONNECT, TEMPORARY ON DATABASE $side FROM PUBLIC;
END
done
