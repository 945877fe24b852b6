module portcullis.dev/go

go 1.24
