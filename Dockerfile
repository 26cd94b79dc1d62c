# Beanline's own image: one static binary and the certificates that HTTPS needs. Nothing is compiled here: the binary is
# built before, natively for each architecture, and handed in by scripts/image.sh (make image), so that an image is made
# in a second and holds exactly the binary that was tested.
FROM scratch

ARG CERTIFICATES=ca-certificates.crt
COPY ${CERTIFICATES} /etc/ssl/certs/ca-certificates.crt
ARG BINARY=beanline
COPY ${BINARY} /beanline

ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="beanline" \
      org.opencontainers.image.description="Build a docker image once, test it, and ship exactly that image to AWS Elastic Beanstalk" \
      org.opencontainers.image.licenses="Apache-2.0 OR MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# No USER: GitHub's runner hands over a workspace and a docker socket that only root may use.
# No shell, hence the absolute path and exec form.
ENTRYPOINT ["/beanline"]
