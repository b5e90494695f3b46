#!/bin/sh
# Verify the repository, then run the server. Arguments are passed on to tritonserver, for example
# options for TLS and protected endpoints.
#
# The server listens on all addresses of its container. Compose's published ports, or the Kubernetes
# service and network policy, decide who can reach it.
set -eu
# Triton reads a request's chunks and its JSON recursively: a stack of 8 MiB is too small.
ulimit -S -s 1048576 2>/dev/null || ulimit -S -s "$(ulimit -H -s)"
# Closed endpoints require a header with a random value.
closed="shared-memory,model-repository,trace,logging:plumbline-closed=$(python3 -c \
    'import secrets; print(secrets.token_urlsafe())')"
python3 -m plumbline.serving.check.verify "$PLUMBLINE_REPOSITORY"
exec tritonserver \
    --model-repository="$PLUMBLINE_REPOSITORY" \
    --model-control-mode=none \
    --strict-readiness=true \
    --http-restricted-api="$closed" \
    --grpc-restricted-protocol="$closed" \
    --disable-auto-complete-config \
    --exit-on-error=true \
    --exit-timeout-secs=20 \
    "$@"
