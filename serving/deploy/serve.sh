#!/bin/sh
# Verify the repository, then become the server. Arguments are passed on to tritonserver: its
# options for TLS and for protected endpoints, for example.
#
# It listens on all addresses of its container: who reaches them is for the ports that compose
# publishes, or the Kubernetes service and network policy, to say.
set -eu
python3 -m serving.verify "$PLUMBLINE_REPOSITORY"
exec tritonserver \
    --model-repository="$PLUMBLINE_REPOSITORY" \
    --model-control-mode=none \
    --strict-readiness=true \
    --disable-auto-complete-config \
    --exit-on-error=true \
    --exit-timeout-secs=20 \
    "$@"
