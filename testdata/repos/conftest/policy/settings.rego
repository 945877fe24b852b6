package main

deny contains msg if {
	input.server.tls == false
	msg := "the server must use TLS"
}
