# The operator's image: one binary on distroless (no shell, no package manager), not root.
#   docker build -t binlog-operator .
FROM rust:1-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends build-essential && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin binlog-operator && cp target/release/binlog-operator /binlog-operator

# Debian 12's C library and the CA certificates, which the TLS verifier reads.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /binlog-operator /usr/local/bin/binlog-operator
USER 65532:65532
EXPOSE 8222
ENTRYPOINT ["/usr/local/bin/binlog-operator"]
