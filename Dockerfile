# The images of Millrace, for people with a container engine:
#   docker build --target operator -t millrace-operator .
#   docker build --target media -t millrace-media .        (the default; also runs "standalone")
# What is in them stands in hack/image/operator.yaml and media.yaml; hack/mkimage makes the same images without an engine.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags="-s -w" -o /built/millrace . && \
    CGO_ENABLED=0 go build -trimpath -buildvcs=false -o /mkimage ./hack/mkimage

FROM debian:bookworm-slim AS files
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates ffmpeg && rm -rf /var/lib/apt/lists/*
COPY --from=build /mkimage /mkimage
COPY --from=build /built /built
RUN /mkimage -list operator -built /built -root /operator && /mkimage -list media -built /built -root /media

FROM gcr.io/distroless/static-debian12:nonroot AS operator
COPY --from=files /operator /
USER 65532:65532
ENTRYPOINT ["/millrace"]
CMD ["operator"]

FROM gcr.io/distroless/static-debian12:nonroot AS media
COPY --from=files /media /
USER 65532:65532
EXPOSE 1935/tcp 1936/tcp 8080/tcp 8443/tcp 8000/tcp 8000/udp
ENTRYPOINT ["/millrace"]
CMD ["standalone", "-f", "/etc/millrace"]
