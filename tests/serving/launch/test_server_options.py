"""The options on Triton's command line, and options that are refused."""

from pathlib import Path

import pytest

from plumbline.serving.client.connection import SECRET_VARIABLE
from plumbline.serving.errors import ServerError
from plumbline.serving.launch import server_options
from plumbline.serving.launch.ports import Ports
from plumbline.serving.launch.server_options import ServerOptions, ServerTls

SECRET = "0123456789abcdef"
PORTS = Ports(1, 2, 3)


def rules(options: ServerOptions) -> dict[str, set[str]]:
    """Header to the endpoints that it opens; the same over both protocols."""
    found: dict[str, dict[str, set[str]]] = {"--http-restricted-api": {}}
    found["--grpc-restricted-protocol"] = {}
    for argument in options.arguments(PORTS):
        name, _, rule = argument.partition("=")
        if name in found:
            endpoints, _, header = rule.partition(":")
            assert header.partition("=")[0] not in found[name], "one rule a header"
            found[name][header.partition("=")[0]] = set(endpoints.split(","))
    http, grpc = found.values()
    assert http == grpc
    return http


def test_by_default_only_scoring_is_open_and_only_on_loopback() -> None:
    options = ServerOptions()
    arguments = options.arguments(PORTS)
    for name in ("http", "grpc", "metrics"):
        assert f"--{name}-address=127.0.0.1" in arguments
    assert "--model-control-mode=none" in arguments
    closed = {"trace", "logging", "shared-memory", "model-repository"}
    assert rules(options) == {"plumbline-closed": closed}
    assert options.warning is None


def test_the_endpoints_of_clouds_are_always_off() -> None:
    for options in (ServerOptions(), ServerOptions(allow_model_control=True, secret=SECRET)):
        arguments = options.arguments(PORTS)
        assert {"--allow-sagemaker=false", "--allow-vertex-ai=false"} <= set(arguments)


def test_later_releases_are_told_to_allow_shared_memory() -> None:
    allowed = ServerOptions(allow_shared_memory=True, secret=SECRET)
    later = allowed.arguments_of_later_releases(lambda option: True)
    assert later == ["--allow-client-shm=true"]
    assert allowed.arguments_of_later_releases(lambda option: False) == []
    assert ServerOptions().arguments_of_later_releases(lambda option: True) == []


@pytest.mark.parametrize(("devices", "value"), [(0, "false"), (2, "true")])
def test_gpus_are_measured_where_there_are_any(
    devices: int, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_options, "cuda_devices", lambda: devices)
    assert f"--allow-gpu-metrics={value}" in ServerOptions().arguments(PORTS)
    assert "--allow-gpu-metrics=false" in ServerOptions(gpu_metrics=False).arguments(PORTS)


def test_no_header_opens_closed_endpoints() -> None:
    keys = set()
    for argument in ServerOptions().arguments(PORTS) + ServerOptions().arguments(PORTS):
        if "plumbline-closed=" in argument:
            keys.add(argument.partition("plumbline-closed=")[2])
    assert len(keys) == 2 and all(key.endswith("\n") for key in keys)


def test_allowed_endpoints_require_the_secret() -> None:
    options = ServerOptions(allow_model_control=True, allow_shared_memory=True, secret=SECRET)
    arguments = options.arguments(PORTS)
    assert "--model-control-mode=explicit" in arguments and "--load-model=*" in arguments
    assert rules(options) == {
        "plumbline-closed": {"trace", "logging"},
        "plumbline-secret": {"shared-memory", "model-repository"},
    }
    assert rules(ServerOptions(protect_scoring=True, secret=SECRET))["plumbline-secret"] == {
        "metadata",
        "inference",
        "model-config",
        "statistics",
    }
    assert SECRET not in repr(options)


@pytest.mark.parametrize("name", ["allow_model_control", "allow_shared_memory", "protect_scoring"])
def test_options_that_need_a_secret_are_refused_without_one(name: str) -> None:
    option = name.replace("_", "-")
    with pytest.raises(ServerError, match=f"--{option} needs a secret.*{SECRET_VARIABLE}"):
        ServerOptions(**{name: True})


def test_with_tls_unencrypted_endpoints_stay_on_loopback(tmp_path: Path) -> None:
    for name in ("certificate", "key", "ca"):
        (tmp_path / name).write_text("PEM")
    tls = ServerTls(tmp_path / "certificate", tmp_path / "key", tmp_path / "ca")
    arguments = ServerOptions(host="10.0.0.1", tls=tls).arguments(PORTS)
    assert "--grpc-address=10.0.0.1" in arguments
    assert {"--http-address=127.0.0.1", "--metrics-address=127.0.0.1"} <= set(arguments)
    assert "--grpc-use-ssl=true" in arguments and "--grpc-use-ssl-mutual=true" in arguments
    with pytest.raises(ServerError, match="absent: wanted a PEM file"):
        ServerTls(tmp_path / "certificate", tmp_path / "absent")


def test_open_endpoints_cause_a_warning(tmp_path: Path) -> None:
    open_to_all = ServerOptions(host="0.0.0.0").warning
    assert open_to_all is not None
    assert open_to_all.startswith("0.0.0.0: nothing is encrypted")
    assert "anyone who can reach it gets scores" in open_to_all
    for name in ("certificate", "key"):
        (tmp_path / name).write_text("PEM")
    tls = ServerTls(tmp_path / "certificate", tmp_path / "key")
    assert ServerOptions(host="::", tls=tls, protect_scoring=True, secret=SECRET).warning is None
    for loopback in ("127.0.0.1", "::1", "localhost"):
        assert ServerOptions(host=loopback).warning is None
