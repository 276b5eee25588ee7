"""darknet's layers written as loops in float64: arrays (N, C, H, W), weights as they stand in a weights file."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from yolo.darknet import layers as plan

_OUTSIDE = -3.4028234663852886e38  # -FLT_MAX


def slow_activation(name: str, x: float) -> float:
    """One value, by the formulas of darknet's activations."""
    even = math.floor(x) % 2 == 0
    values: dict[str, Callable[[], float]] = {
        "elu": lambda: x if x >= 0 else math.exp(x) - 1,
        "hardtan": lambda: min(1.0, max(-1.0, x)),
        "leaky": lambda: x if x > 0 else 0.1 * x,
        "lhtan": lambda: 0.001 * x if x < 0 else 0.001 * (x - 1) + 1 if x > 1 else x,
        "linear": lambda: x,
        "logistic": lambda: 1 / (1 + math.exp(-x)),
        "loggy": lambda: 2 / (1 + math.exp(-x)) - 1,
        "plse": lambda: 0.01 * (x + 4) if x < -4 else 0.01 * (x - 4) + 1 if x > 4 else 0.125 * x + 0.5,
        "ramp": lambda: max(x, 0) + 0.1 * x,
        "relie": lambda: x if x > 0 else 0.01 * x,
        "relu": lambda: max(x, 0.0),
        "selu": lambda: 1.0507 * x if x >= 0 else 1.0507 * 1.6732 * (math.exp(x) - 1),
        "stair": lambda: math.floor(x / 2) if even else x - math.floor(x) + math.floor(x / 2),
        "tanh": lambda: (math.exp(2 * x) - 1) / (math.exp(2 * x) + 1),
    }
    return values[name]()


def slow_batch_norm(x: Any, blocks: dict[str, Any]) -> Any:
    """Evaluation: the root gets 1e-6. A [batchnorm] section has no biases."""
    y, biases = np.zeros(x.shape), blocks.get("biases", np.zeros(x.shape[1]))
    for c in range(x.shape[1]):
        root = math.sqrt(blocks["rolling_variance"][c]) + 1e-6
        y[:, c] = blocks["scales"][c] * (x[:, c] - blocks["rolling_mean"][c]) / root + biases[c]
    return y


def slow_batch_norm_training(x: Any, scales: Any, biases: Any) -> tuple[Any, Any, Any]:
    """(y, mean, variance) of a training step, variance over n - 1."""
    y, means, variances = np.zeros(x.shape), np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for c in range(x.shape[1]):
        values = [float(value) for value in x[:, c].ravel()]
        means[c] = sum(values) / len(values)
        variances[c] = sum((value - means[c]) ** 2 for value in values) / (len(values) - 1)
        y[:, c] = scales[c] * (x[:, c] - means[c]) / (math.sqrt(variances[c]) + 1e-6) + biases[c]
    return y, means, variances


def slow_batch_norm_backward(x: Any, scales: Any, gradient: Any) -> tuple[Any, Any, Any]:
    """(for x, for scales, for biases) as darknet's CPU code has them, from the gradient for y."""
    for_x, for_scales, for_biases = np.zeros(x.shape), np.zeros(x.shape[1]), np.zeros(x.shape[1])
    _, means, variances = slow_batch_norm_training(x, scales, scales)
    for c in range(x.shape[1]):
        centred = x[:, c] - means[c]
        for_biases[c] = gradient[:, c].sum()
        for_scales[c] = (gradient[:, c] * centred / (math.sqrt(variances[c]) + 1e-6)).sum()
        count, own, guarded = centred.size, gradient[:, c] * scales[c], variances[c] + 1e-5
        for_mean = (own * -1 / math.sqrt(guarded)).sum()
        for_variance = (own * centred * -0.5 * guarded ** (-3 / 2)).sum()
        for_x[:, c] = own / math.sqrt(guarded) + for_variance * 2 * centred / count + for_mean / count
    return for_x, for_scales, for_biases


def slow_layer(layer: plan.Layer, x: Any, blocks: dict[str, Any]) -> Any:
    """What a layer answers in evaluation, from its record and its arrays by name."""
    match layer:
        case plan.Convolutional():
            return _finished(_convolution(layer, x, blocks["weights"]), layer, blocks)
        case plan.Connected():
            y = np.array([[float(row @ image.ravel()) for row in blocks["weights"]] for image in x])
            return _finished(y[:, :, None, None], layer, blocks)
        case plan.Local():
            return _activated(layer.activation, _local(layer, x, blocks["weights"]) + blocks["biases"])
        case plan.Batchnorm():
            return slow_batch_norm(x, blocks)
        case plan.Maxpool():
            return _maxpool(layer, x)
        case plan.Avgpool():
            return np.array([[[[float(channel.sum()) / channel.size]] for channel in image] for image in x])
        case plan.Crop():
            return _crop(layer, x)
        case plan.Softmax():
            return _softmax(layer, x)
        case plan.Activation():
            return _activated(layer.activation, x)
    return x


def _activated(name: str, x: Any) -> Any:
    return np.array([slow_activation(name, value) for value in x.ravel().tolist()]).reshape(x.shape)


def _finished(y: Any, layer: plan.Convolutional | plan.Connected, blocks: dict[str, Any]) -> Any:
    """Batch norm or bias, then the activation."""
    if layer.batch_normalize:
        return _activated(layer.activation, slow_batch_norm(y, blocks))
    return _activated(layer.activation, y + blocks["biases"][:, None, None])


def _patch(image: Any, top: int, left: int, size: int) -> Any:
    """A square of (C, H, W) with zeros outside."""
    patch = np.zeros((len(image), size, size))
    for row in range(size):
        for col in range(size):
            if 0 <= top + row < image.shape[1] and 0 <= left + col < image.shape[2]:
                patch[:, row, col] = image[:, top + row, left + col]
    return patch


def _places(layer: plan.Convolutional | plan.Local, x: Any) -> Any:
    """(image, row, column, patch) of every output place."""
    _, height, width = layer.out_shape
    for n in range(len(x)):
        for row in range(height):
            for col in range(width):
                top, left = row * layer.stride - layer.padding, col * layer.stride - layer.padding
                yield n, row, col, _patch(x[n], top, left, layer.size)


def _convolution(layer: plan.Convolutional, x: Any, weights: Any) -> Any:
    y = np.zeros((len(x), *layer.out_shape))
    seen, made = layer.in_shape.channels // layer.groups, layer.filters // layer.groups
    for n, row, col, patch in _places(layer, x):
        for k in range(layer.filters):
            group = k // made
            y[n, k, row, col] = (weights[k] * patch[group * seen : (group + 1) * seen]).sum()
    return y


def _local(layer: plan.Local, x: Any, weights: Any) -> Any:
    y = np.zeros((len(x), *layer.out_shape))
    for n, row, col, patch in _places(layer, x):
        for k in range(layer.filters):
            y[n, k, row, col] = (weights[row, col, k] * patch).sum()
    return y


def _maxpool(layer: plan.Maxpool, x: Any) -> Any:
    y = np.zeros((len(x), *layer.out_shape))
    for n, c, row, col in np.ndindex(y.shape):
        largest = _OUTSIDE
        for dy in range(layer.size):
            for dx in range(layer.size):
                i, j = row * layer.stride - layer.padding // 2 + dy, col * layer.stride - layer.padding // 2 + dx
                inside = 0 <= i < x.shape[2] and 0 <= j < x.shape[3]
                largest = max(largest, float(x[n, c, i, j]) if inside else _OUTSIDE)
        y[n, c, row, col] = largest
    return y


def _crop(layer: plan.Crop, x: Any) -> Any:
    _, height, width = layer.out_shape
    top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
    y = np.zeros((len(x), *layer.out_shape))
    for n, c, row, col in np.ndindex(y.shape):
        value = x[n, c, top + row, left + col]
        y[n, c, row, col] = value if layer.noadjust else 2 * value - 1
    return y


def _softmax(layer: plan.Softmax, x: Any) -> Any:
    length = layer.in_shape.size // layer.groups
    y = []
    for image in x:
        values = [float(value) for value in image.ravel()]
        for start in range(0, len(values), length):
            group = values[start : start + length]
            powers = [math.exp((value - max(group)) / layer.temperature) for value in group]
            y += [power / sum(powers) for power in powers]
    return np.array(y).reshape(x.shape)
