#!/bin/sh
# Secrets by file: NAME_FILE=/run/secrets/name becomes NAME in the process that is started, so no
# value stands in the image, in compose.yaml or in what `docker inspect` shows. A file that is not
# there is a secret that was not given.
set -eu
for name in DAGSTER_PG_PASSWORD PGPASSWORD GITHUB_TOKENS AWARENESS_TEACHER_KEY \
  AWARENESS_WEBHOOK_URL WANDB_API_KEY; do
  eval "file=\${${name}_FILE:-}"
  if [ -n "$file" ] && [ -e "$file" ]; then
    value=$(cat "$file")
    export "$name=$value"
  fi
done
# An empty AWS_ENDPOINT_URL would be an endpoint.
if [ -n "${S3_ENDPOINT:-}" ]; then
  export AWS_ENDPOINT_URL="$S3_ENDPOINT"
fi
exec "$@"
