# The webhook as one static file in an empty image: docker build -t portcullis-webhook .
FROM docker.io/library/rust:1.95-alpine AS build
RUN apk add --no-cache gcc musl-dev
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p portcullis-webhook \
 && cp target/release/portcullis-webhook /portcullis-webhook

FROM scratch
COPY --from=build /portcullis-webhook /portcullis-webhook
# Nobody: it needs no name, no home and no rights.
USER 65532:65532
EXPOSE 8443 8080
ENTRYPOINT ["/portcullis-webhook"]
