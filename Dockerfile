# syntax=docker/dockerfile:1
# Llovizna in a container: one program, not root, nothing else but certificates.
#
#   docker build -t llovizna .
#   docker run -p 8000:8000 -e DATABASE_URL=postgres://… -e PUBLIC_URL=https://… llovizna

FROM rust:1.95-slim-bookworm AS build
WORKDIR /source
COPY . .
# What the queries mean is read from .sqlx: no database is needed to build.
ENV SQLX_OFFLINE=true
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked --bin llovizna \
    && cp target/release/llovizna /usr/local/bin/llovizna

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/llovizna --shell /usr/sbin/nologin llovizna
COPY --from=build /usr/local/bin/llovizna /usr/local/bin/llovizna
# The database is another machine's: none is started or fetched here.
ENV LLOVIZNA_HOME=/var/lib/llovizna \
    LLOVIZNA_PG_FETCH=off \
    LOG_FORMAT=json \
    PORT=8000
USER llovizna
WORKDIR /var/lib/llovizna
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["llovizna", "health"]
STOPSIGNAL SIGTERM
CMD ["llovizna", "serve"]
