# syntax=docker/dockerfile:1
# The image of every process: docker build -t drawdown .
#
# The base is pinned by tag. To pin it by digest, as production should:
#   docker buildx imagetools inspect python:3.11.14-slim-bookworm --format '{{.Manifest.Digest}}'
#   docker build --build-arg BASE=python:3.11.14-slim-bookworm@sha256:… -t drawdown .
ARG BASE=python:3.11.14-slim-bookworm

FROM ${BASE} AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY deploy deploy
COPY ingest ingest
COPY processors processors
COPY projections projections
COPY schemas schemas
# Compiled here: the file system is read-only where it runs.
RUN python -m venv /opt/drawdown \
 && /opt/drawdown/bin/pip install --no-cache-dir --disable-pip-version-check --compile .

FROM ${BASE}
LABEL org.opencontainers.image.title="drawdown" \
      org.opencontainers.image.description="Meters usage and draws down prepaid credits, exactly" \
      org.opencontainers.image.licenses="Apache-2.0"
# Folders that volumes are mounted on belong to the user, so that fresh volumes do.
RUN groupadd --gid 10001 drawdown \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin drawdown \
 && for each in worker reader api webhooks exporter redis grafana subscriptions keys; do \
      install -d -o 10001 -g 10001 -m 0755 "/secrets/$each" || exit 1; done
COPY --from=build /opt/drawdown /opt/drawdown
ENV PATH=/opt/drawdown/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    POLARS_MAX_THREADS=1 \
    HEALTH_URL=""
WORKDIR /tmp
USER 10001:10001
STOPSIGNAL SIGTERM
# HEALTH_URL is the process's own; a command that ends by itself has none.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
  CMD ["python", "-c", "import os, urllib.request as r; u = os.environ['HEALTH_URL']; u and r.urlopen(u, timeout=4)"]
ENTRYPOINT ["drawdown"]
CMD ["--help"]
