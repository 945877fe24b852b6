# All programs as static files in an empty image: docker build -t portcullis .
# `portcullis` is what it runs if nothing is said; manifests say `command: [/portcullis-webhook]` or `[/portcullis-audit]`.
FROM docker.io/library/rust:1.95-alpine AS build
RUN apk add --no-cache gcc musl-dev
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p portcullis-cli -p portcullis-webhook -p portcullis-audit \
 && mkdir /programs \
 && cp target/release/portcullis target/release/portcullis-webhook target/release/portcullis-audit /programs/

# Without the stage above, from a directory with the three programs:
# buildah build --build-context build=DIRECTORY (with them in DIRECTORY/programs), or the same with `docker buildx build`.
FROM scratch
COPY --from=build /programs/ /
# Nobody: it needs no name, no home and no rights.
USER 65532:65532
EXPOSE 8443 8080
ENTRYPOINT ["/portcullis"]
