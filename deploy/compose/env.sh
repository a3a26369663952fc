#!/bin/sh
# Writes .env, the secrets of docker-compose.yml, and operator-key.json, the key that signs access tokens and that no
# service has. Leaves both alone where they are.
set -eu
cd "$(dirname "$0")/../.."
if [ -e .env ]; then
  echo ".env is here already, and was left as it is"
  exit 0
fi
command -v openssl >/dev/null || { echo "cairn: openssl is missing: apt install openssl" >&2; exit 1; }
umask 077
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

word() { openssl rand -hex 24; }
base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

# The last 32 bytes of an Ed25519 key in DER are the key itself (RFC 8410); as a JWK it is RFC 8037.
openssl genpkey -algorithm ed25519 -out "$scratch/key.pem"
public=$(openssl pkey -in "$scratch/key.pem" -pubout -outform DER | tail -c 32 | base64url)
private=$(openssl pkey -in "$scratch/key.pem" -outform DER | tail -c 32 | base64url)
jwk="\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"use\":\"sig\",\"kid\":\"$(openssl rand -hex 8)\",\"x\":\"$public\""
[ -e operator-key.json ] && { echo "cairn: operator-key.json is here, but .env is not: move one of them" >&2; exit 1; }
echo "{$jwk,\"d\":\"$private\"}" > operator-key.json

{
  echo "# Made by \`make compose\`. Whoever has this file has everything: keep it to yourself, and keep it."
  echo "POSTGRES_PASSWORD=$(word)"
  echo "KAFKA_ADMIN_PASSWORD=$(word)"
  echo "KAFKA_CLUSTER_ID=$(openssl rand 16 | base64url)"
  for service in ISSUANCE PATHWAYS VERIFICATION; do
    echo "${service}_PASSWORD=$(word)"
    echo "${service}_OWNER_PASSWORD=$(word)"
    echo "${service}_KAFKA_PASSWORD=$(word)"
    echo "${service}_KEK=$(openssl rand -base64 32)"
  done
  echo "CAIRN_AUTH_JWKS='{\"keys\":[{$jwk}]}'"
} > "$scratch/env"
mv "$scratch/env" .env
echo "wrote .env and operator-key.json; now: docker compose up --wait, and perhaps: make story"
echo "a token:  docker compose run --rm --no-deps --user \$(id -u) -v ./operator-key.json:/key.json:ro issuance-api \\"
echo "            python -m cairn.common.auth mint /key.json me platform platform:admin"
