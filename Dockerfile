# gridyolo in a container: CPU by default, no network at run time, no root.
#
#   docker build -t gridyolo .                             CPU: Debian's own torch, small
#   docker build -t gridyolo:cuda --build-arg DEVICE=cuda .   CUDA: the wheels of constraints.txt
#
#   docker run --rm -v "$PWD:/data" gridyolo train --data /data/my-images --max-minutes 10
#   docker run --rm --gpus all --shm-size 2g -v "$PWD:/data" gridyolo:cuda train --data /data/my-images
FROM debian:trixie-slim

ARG DEVICE=cpu

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PATH=/opt/gridyolo/bin:$PATH

# libgl1 and libglib are what opencv-python's wheel expects of the system.
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-venv libgl1 libglib2.0-0t64 \
    && if [ "$DEVICE" = cpu ]; then apt-get install -y --no-install-recommends python3-torch python3-torchvision; fi \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY yolo yolo
RUN if [ "$DEVICE" = cpu ]; then \
        python3 -m venv --system-site-packages /opt/gridyolo \
        && grep -v -E '^(torch|torchvision|numpy|scipy|sympy|networkx)==' constraints.txt > /tmp/constraints.txt; \
    else \
        python3 -m venv /opt/gridyolo && cp constraints.txt /tmp/constraints.txt; \
    fi \
    && /opt/gridyolo/bin/pip install --no-cache-dir --constraint /tmp/constraints.txt . \
    && rm /tmp/constraints.txt

RUN useradd --create-home gridyolo && mkdir /data && chown gridyolo /data
USER gridyolo
WORKDIR /data
ENTRYPOINT ["gridyolo"]
CMD ["--help"]
