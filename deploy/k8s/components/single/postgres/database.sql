-- A database, the role that owns it and a run-time role that may use it (S21). Run by psql as a superuser, as often as one
-- likes; once for each run-time role where several share a database.
-- Environment: DATABASE_NAME, OWNER_ROLE, OWNER_PASSWORD, RUNTIME_ROLE, RUNTIME_PASSWORD.
\set ON_ERROR_STOP on
\getenv database DATABASE_NAME
\getenv owner OWNER_ROLE
\getenv owner_password OWNER_PASSWORD
\getenv role RUNTIME_ROLE
\getenv password RUNTIME_PASSWORD

SELECT format('CREATE ROLE %I', wanted)
  FROM unnest(ARRAY[:'owner', :'role']) AS wanted
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) \gexec
ALTER ROLE :"owner" LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'owner_password';
ALTER ROLE :"role" LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'password';

SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'owner')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO :"role";

\connect :"database"
ALTER SCHEMA public OWNER TO :"owner";
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO :"role";
