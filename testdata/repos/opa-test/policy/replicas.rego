package replicas

import data.limits

deny contains msg if {
	input.spec.replicas > limits.most
	msg := sprintf("%d replicas are more than %d", [input.spec.replicas, limits.most])
}

deny contains "replicas must be a number" if {
	not is_number(input.spec.replicas)
}

owner := input.metadata.labels.owner

owner := "nobody" if {
	not input.metadata.labels.owner
}
