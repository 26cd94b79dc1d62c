# Beanline's own image: one static binary under two names, and the certificates that HTTPS needs. No shell, no package,
# no process but ours.
#
#   make image                          of the binary that cargo has built, in a second
#   docker build --tag beanline .       of the source, with nothing on this machine but docker

# Where `make image` never gets to. Any image with Rust 1.95, a C compiler and a static libc will do.
ARG RUST=docker.io/library/rust:1.95-bookworm

FROM scratch AS frame
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="beanline" \
      org.opencontainers.image.description="Build a docker image once, test it, and ship exactly that image to AWS Elastic Beanstalk" \
      org.opencontainers.image.source="https://github.com/beanline/beanline" \
      org.opencontainers.image.documentation="https://github.com/beanline/beanline/tree/main/docs" \
      org.opencontainers.image.vendor="Beanline contributors" \
      org.opencontainers.image.licenses="Apache-2.0 OR MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# No USER: GitHub's runner hands over a workspace and a docker socket that only root may use.
# No shell, hence the absolute path and exec form.
ENTRYPOINT ["/beanline"]

# The binary was built before, natively for each architecture: the image holds exactly what was tested. The context is
# a directory that scripts/image.sh lays out.
FROM frame AS binary
COPY rootfs/ /

FROM ${RUST} AS compiled
WORKDIR /source
COPY . .
RUN cargo build --locked --profile image --bin beanline \
 && mkdir -p /rootfs/etc/ssl/certs \
 && cp target/*/image/beanline /rootfs/beanline \
 && ln -s beanline /rootfs/beanline-post \
 && cp /etc/ssl/certs/ca-certificates.crt /rootfs/etc/ssl/certs/

FROM frame AS source
COPY --from=compiled /rootfs/ /
