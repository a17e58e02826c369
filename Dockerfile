# The image of the job: one static binary on a base without shell or packages.
#
# To pin the base by digest, write the digest behind its tag; the same for
# GO_IMAGE, which cloudbuild.yaml gives:
#   image=gcr.io/distroless/static-debian13:nonroot; sed -i "/^ARG/s|$image|$image@$(docker buildx imagetools inspect $image --format '{{.Manifest.Digest}}')|" Dockerfile
# No registry was within reach where this was written: that the tags exist is
# UNCONFIRMED; the tests build on stand-ins.
ARG GO_IMAGE=golang:1.26
ARG BASE_IMAGE=gcr.io/distroless/static-debian13:nonroot

FROM ${GO_IMAGE} AS build
WORKDIR /src
# The modules have a layer of their own: it is made again only when they change.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
ARG REVISION=
# There is no history in the context, so the revision is stamped instead of
# read. Cloud Run runs linux/amd64. Time zones are in the binary: it imports
# time/tzdata.
RUN stamp="${VERSION}${VERSION:+${REVISION:++}}$(printf %.12s "$REVISION")" && \
    CGO_ENABLED=0 GOOS=linux GOARCH=amd64 \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.stampedVersion=$stamp" -o /rotator ./job

FROM --platform=linux/amd64 ${BASE_IMAGE}
COPY --from=build /rotator /rotator
ARG VERSION=
ARG REVISION=
ARG CREATED=
ARG SOURCE=
LABEL org.opencontainers.image.title="gke-credential-rotator" \
      org.opencontainers.image.description="Rotates the credentials of GKE clusters by policy" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION:-${REVISION}}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
# By number: no file of the base has to know the name.
USER 65532:65532
ENTRYPOINT ["/rotator"]
