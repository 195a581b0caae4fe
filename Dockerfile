# The millrace binary alone: static, without a shell, as a user without rights. Build: docker build -t millrace .
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags="-s -w" -o /millrace .

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /millrace /millrace
USER 65532:65532
EXPOSE 1935/tcp 1936/tcp 8080/tcp 8443/tcp 8000/tcp 8000/udp
ENTRYPOINT ["/millrace"]
CMD ["standalone", "-f", "/etc/millrace"]
