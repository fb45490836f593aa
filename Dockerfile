# A peer in a container: docker build -t coterie . (deploy/README.md says how to run it)
#
# The first stage builds: one dependency has no wheel everywhere and needs a C compiler and GMP's headers.
FROM python:3.13-slim AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential libgmp-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY pyproject.toml README.md LICENSE __init__.py py.typed ./
COPY apps apps
COPY crypto crypto
COPY protocol protocol
COPY peer peer
COPY topology topology
RUN python -m venv /opt/coterie \
    && /opt/coterie/bin/pip install --no-cache-dir --disable-pip-version-check .

FROM python:3.13-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgmp10 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --create-home --home-dir /home/coterie --shell /usr/sbin/nologin coterie \
    && chmod 700 /home/coterie
COPY --from=build /opt/coterie /opt/coterie
ENV PATH=/opt/coterie/bin:$PATH \
    COTERIE_HOME=/home/coterie/peer \
    PYTHONDONTWRITEBYTECODE=1
USER coterie
WORKDIR /home/coterie
# The peer's home, and beside it the arithmetic that the first start compiles for this processor.
VOLUME /home/coterie
EXPOSE 4001
# The page is served inside the container only; `--page 0.0.0.0:8650 --page-token-file FILE` opens it.
HEALTHCHECK --interval=30s --timeout=10s --start-period=2m \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8650/healthz', timeout=5)"]
ENTRYPOINT ["peer"]
CMD ["start", "--listen", "4001", "--page", "8650"]
