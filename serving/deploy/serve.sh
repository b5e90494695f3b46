#!/bin/sh
# Serve the repository behind the gateway. Arguments are options of `plumbline server`, such as those
# for TLS; the last of an option counts.
#
# The gateway listens on all addresses of the container, Triton on its loopback alone.
set -eu
secret=/run/secrets/plumbline/secret
if [ -e "$secret" ]; then
    set -- --secret-file "$secret" "$@"
fi
exec plumbline server "$PLUMBLINE_REPOSITORY" --host 0.0.0.0 --ready-seconds 600 "$@"
