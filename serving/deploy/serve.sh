#!/bin/sh
# Verify the repository, then become the server. Arguments are passed on to tritonserver: its
# options for TLS and for protected endpoints, for example.
#
# It listens on all addresses of its container. The ports that compose publishes, or the Kubernetes
# service and network policy, decide who can reach them.
set -eu
# Triton reads a request's chunks and its JSON recursively: 8 MiB of stack are too few.
ulimit -S -s 1048576 2>/dev/null || ulimit -S -s "$(ulimit -H -s)"
# Endpoints that are not served require a header that nobody knows.
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
