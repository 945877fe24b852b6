package main

deny[msg] {
	input[i].contents.kind == "Deployment"
	deployment := input[i].contents
	not selected(deployment.spec.selector.matchLabels.app)
	msg := sprintf("no Service selects the Pods of %v", [deployment.metadata.name])
}

selected(app) {
	service := input[_].contents
	service.kind == "Service"
	service.spec.selector.app == app
}
