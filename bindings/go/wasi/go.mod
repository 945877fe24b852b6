module portcullis.dev/go/wasi

go 1.24

require (
	github.com/tetratelabs/wazero v1.9.0
	portcullis.dev/go v0.0.0
)

replace portcullis.dev/go => ../
