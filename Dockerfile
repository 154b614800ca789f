# The action's image. To try it by hand:
#   docker run --rm --entrypoint autonomous-loop IMAGE demo
# A release pins both bases by digest.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /out/autonomous-loop .

# The browser, Node.js and the driver come the way they come on any machine. The
# Go toolchain is there because projects in Go are tested with it.
FROM golang:1.26-bookworm
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates git nodejs npm chromium-headless-shell fonts-liberation fonts-noto-color-emoji \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY go.mod go.sum ./
COPY tools tools
COPY runner runner
RUN sh tools/setup.sh && rm -rf /src/runner /root/.cache /root/.npm
COPY --from=build /out/autonomous-loop /usr/local/bin/autonomous-loop
WORKDIR /
# No USER: GitHub runs container actions as root, and their files belong to root.
# What a model or the project's code runs is put under another user by us.
ENTRYPOINT ["/usr/local/bin/autonomous-loop"]
