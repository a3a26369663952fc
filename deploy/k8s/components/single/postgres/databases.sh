#!/bin/sh
# A database, an owner and a run-time role for each service; run as often as one likes. PGHOST, PGUSER and PGPASSWORD
# are the superuser's; <SERVICE>_PASSWORD and <SERVICE>_OWNER_PASSWORD are those to give.
set -eu
for service in issuance pathways verification; do
  upper=$(echo "$service" | tr '[:lower:]' '[:upper:]')
  eval "RUNTIME_PASSWORD=\${${upper}_PASSWORD:?} OWNER_PASSWORD=\${${upper}_OWNER_PASSWORD:?}"
  DATABASE_NAME=$service OWNER_ROLE=${service}_owner RUNTIME_ROLE=$service
  export DATABASE_NAME OWNER_ROLE OWNER_PASSWORD RUNTIME_ROLE RUNTIME_PASSWORD
  psql -X -q -d postgres -f "$(dirname "$0")/database.sql"
  echo "database $service is ready"
done
