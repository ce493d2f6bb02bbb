# syntax=docker/dockerfile:1
# locsvc as a service: two stages, no compiler and no package manager in the second, no root.
#
#   docker build -t locsvc .
#   docker run --rm -v "$PWD/DATA:/data:ro" --network host locsvc                    loopback of the host, no TLS
#   docker run --rm -v "$PWD/DATA:/data:ro" -v "$PWD/tls:/tls:ro" -p 50051:50051 locsvc \
#       serve --host 0.0.0.0 --certificate /tls/server.crt --private-key /tls/server.key    reachable, with TLS

ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PROJECT_ENVIRONMENT=/opt/locsvc \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /src
COPY pyproject.toml uv.lock README.md LICENSE ./
# uv in the version that the lock names; the dependencies are a layer of their own, so that a change of code is quick.
RUN pip install "uv==$(sed -n '/^name = "uv"$/{n;s/^version = "\(.*\)"$/\1/p;}' uv.lock)" \
 && uv sync --frozen --no-dev --extra postgres --no-install-project
COPY locsvc ./locsvc
RUN uv sync --frozen --no-dev --extra postgres --no-editable

FROM python:${PYTHON}
RUN groupadd --gid 10001 locsvc \
 && useradd --uid 10001 --gid locsvc --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin locsvc \
 && install -d -o locsvc -g locsvc /data
COPY --from=build /opt/locsvc /opt/locsvc
# The core as machine code, for processors like this one; on another kind it is compiled at the first start, into
# the user's temporary directory.
RUN /opt/locsvc/bin/python -m locsvc.resolver.warming
COPY --chmod=0755 scripts/healthcheck.py /opt/locsvc/bin/locsvc-health
ENV PATH=/opt/locsvc/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LOCSVC_DATA=/data
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 50051
STOPSIGNAL SIGTERM
# With TLS set LOCSVC_HEALTH_CA (and LOCSVC_HEALTH_NAME) to the authority that the probe is to trust.
HEALTHCHECK --interval=10s --timeout=5s --start-period=90s --retries=3 CMD ["locsvc-health"]
ENTRYPOINT ["locsvc"]
CMD ["serve"]
