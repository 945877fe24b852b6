package main

import data.lib.k8s

deny_latest contains msg if {
	some container in k8s.containers
	endswith(container.image, ":latest")
	msg := sprintf("container %s uses the tag latest", [container.name])
}

violation_run_as_root contains {"msg": msg, "severity": "high"} if {
	k8s.is_workload
	not input.spec.template.spec.securityContext.runAsNonRoot
	msg := sprintf("%s may run as root", [input.metadata.name])
}

warn contains msg if {
	some container in k8s.containers
	not container.resources.limits.memory
	msg := sprintf("container %s has no limit of memory", [container.name])
}

exception contains rules if {
	input.metadata.name == "legacy"
	rules := ["run_as_root"]
}
