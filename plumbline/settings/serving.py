"""Settings of the model repository and of its checks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from plumbline.settings.base import PositiveInt, Settings


class Serving(Settings):
    """The Triton model repository, and the requests by which the serve stage checks it."""

    max_batch_size: PositiveInt = 4096
    """The most rows of one request, and of one pass."""
    instances: PositiveInt = 1
    """Processes of each served model."""
    threads: PositiveInt | None = None
    """Threads of one instance; None: the server's cores divided by the instances."""
    precision: Literal["auto", "fp32", "bf16", "int8"] = "auto"
    """Precision of the layers' products in offline and served scoring; sums are float32. auto: bf16
    if it is measured to be faster on this processor, see `plumbline kernels`. int8: layers and
    tables are quantized for serving; the evaluate stage measures what that costs."""
    max_queue_size: PositiveInt = 256
    """Requests that may wait for an instance; more are rejected at once."""
    queue_timeout_ms: PositiveInt = 1000
    """Milliseconds that a request may wait before it is rejected."""
    drift_columns: Annotated[int, Field(ge=0, le=1000)] = 100
    """Columns whose drift each model measures; each has four metrics. 0 turns it off."""
    tensorrt: bool = False
    """Whether a GPU server's ONNX Runtime uses TensorRT; not for weights of 2 GB and more."""
    gpu_fused: Literal["none", "fp32", "bf16"] = "none"
    """Precision of `ctr_fused` on a GPU server, in this project's CUDA kernels. With none, the
    server has no such model; with it, the GPU holds the weights twice, since `ctr_dlrm` has its
    own."""
    probe_rows: Annotated[int, Field(ge=1000)] = 1000
    """Number of raw test rows that are scored by the server and compared with offline scoring."""
    latency_requests: PositiveInt = 200
    """Number of timed requests for each model, protocol and batch size; fewer if they would take
    more than 20 seconds."""
